// The page of a study: layers and pictures are chosen, and their units are ordered, searched and shown.

import { Atlas, Colours, SCALES } from "./colour.js";
import { Data } from "./data.js";
import { Grid } from "./grid.js";
import { Glance } from "./glance.js";
import { shortcuts, staysInFrame } from "./keys.js";
import { Large } from "./large.js";
import { counted, percent, short } from "./numbers.js";
import { ordered, searched } from "./order.js";
import { formsOf, painterOf } from "./painters.js";
import { Panel } from "./panel.js";
import { loaded } from "./picture.js";
import { Views } from "./views.js";
import { depthOf, Scrubber, Slice } from "./volume.js";
import { captionOf, titlesOf } from "./words.js";

class Viewer {
  constructor(root, study) {
    this.root = root;
    this.study = study;
    this.data = new Data();
    this.colours = new Colours(study.colours);
    this.find = (selector) => root.querySelector(selector);
    this.images = study.pictures.map((picture) => loaded(picture.image));
    const on = { point: (unit, place) => this.point(unit, place), open: (unit) => this.open(unit) };
    this.grid = new Grid(this.find(".grid"), on, (unit) => this.describe(unit));
    this.panel = new Panel(this.find(".panel"));
    this.large = new Large(document.getElementById("large"), { step: (by) => this.stepLarge(by), go: (unit) => this.open(unit), slice: (slice) => this.toSlice(slice) });
    this.views = new Views((view) => view && this.goBack(view));
    this.leaving = 0; // how often the browser's Back closed what is large: that is told later, when it may be open again
    this.large.dialog.addEventListener("close", () => this.closed());
    this.picture = 0;
    this.share = 0.5; // of the depth of volumes: the slice that is shown
    this.controls();
    this.glance = new Glance(document, this.colours, {
      load: (at) => this.bring(at, this.picture),
      rank: (layer) => ordered(Array.from({ length: layer.units }, (_, unit) => unit), layer, layer.entry.answer ? "answer" : "mean"),
      title: (layer) => (layer.entry.answer ? `by how much each speaks for ${layer.entry.answer.labels[this.picture]}` : "by their mean"),
      open: async (at, unit) => {
        if (await this.show(at)) this.open(unit);
      },
    });
  }

  controls() {
    const again = () => this.arrange();
    for (const name of ["order", "scale", "colour", "shown", "side"]) {
      this[name] = this.find(`[data-${name}]`);
      this[name].addEventListener(name === "side" ? "input" : "change", again);
    }
    this.scrubber = new Scrubber(this.find("[data-slice]"), (slice) => this.toSlice(slice));
    this.search = this.find("[data-search]");
    this.search.addEventListener("input", again);
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.grid.root.focus();
    });
    this.layers = this.find("[data-layer]");
    this.layers.addEventListener("change", () => this.show(this.layers.selectedIndex));
    this.find("[data-layer-before]").addEventListener("click", () => this.turn(-1));
    this.find("[data-layer-after]").addEventListener("click", () => this.turn(1));
    for (const input of this.root.querySelectorAll("input[name=picture]")) {
      input.addEventListener("change", () => this.show(this.at, Number(input.value)));
    }
    for (const button of document.querySelectorAll("[data-shows]")) {
      button.addEventListener("click", () => this.visit(Number(button.dataset.shows)));
    }
    const help = document.getElementById("help");
    this.find("[data-help]").addEventListener("click", () => help.showModal());
    help.querySelector("[data-close]").addEventListener("click", () => help.close());
    shortcuts({
      "/": () => this.search.focus(),
      "?": () => help.showModal(),
      "[": () => this.turn(-1),
      "]": () => this.turn(1),
      ",": () => this.turnPicture(-1),
      ".": () => this.turnPicture(1),
      g: () => this.grid.root.focus(),
    });
    addEventListener("beforeprint", () => this.spread(true));
    addEventListener("afterprint", () => this.spread(false));
  }

  // [layer, image, signal], by the numbers of the first two.
  bring(at, picture) {
    const { signal } = this.study;
    const entry = signal && { ...signal, shape: [signal.channels.length, signal.samples] };
    return Promise.all([this.data.load(this.study.maps[at], picture), this.images[picture], entry && this.data.load(entry, picture)]);
  }

  // What is drawn of a layer: all of it, or a slice of a volume.
  take(whole, image) {
    this.depth = depthOf(whole);
    this.layer = this.depth ? this.slice(whole) : whole;
    this.image = this.depth ? this.layer.cut(image) : image;
    this.scrubber.show(this.depth, this.layer.slice);
  }

  slice(whole) {
    const { input } = this.study;
    return new Slice(whole, Math.floor(this.share * depthOf(whole)), input?.length === 4 && !input.includes(null) ? input : null);
  }

  async toSlice(slice) {
    this.share = (slice + 0.5) / this.depth;
    this.take(this.layer.whole, await this.images[this.picture]);
    this.arrange();
    if (this.large.dialog.open) this.large.show(this.view, this.large.unit);
  }

  // Show a layer, by its place among those that were read. Whether it is shown: not if another was asked for meanwhile.
  async show(at, picture = this.picture) {
    const entry = this.study.maps[at];
    const asked = (this.asked = Symbol(entry.layer));
    this.root.setAttribute("aria-busy", "true");
    try {
      const [layer, image, signal] = await this.bring(at, picture);
      if (asked !== this.asked) return; // another layer was asked for meanwhile
      const turned = picture !== this.picture;
      Object.assign(this, { at, picture, signal });
      this.take(layer, image);
      if (turned) this.glance.refresh();
      this.layers.selectedIndex = at;
      for (const button of document.querySelectorAll("[data-shows]")) button.setAttribute("aria-pressed", String(Number(button.dataset.shows) === at));
      this.orders();
      this.grid.root.scrollTop = 0;
      this.grid.cursor = 0;
      this.grid.order = [];
      this.find("[data-trouble]").textContent = "";
      this.arrange();
      this.tell();
      this.views.add({ layer: at, picture, open: false });
      return true;
    } catch (error) {
      this.find("[data-trouble]").textContent = error.message;
    } finally {
      if (asked === this.asked) this.root.setAttribute("aria-busy", "false");
    }
    return false;
  }

  // For who holds this page in a frame: show a unit of a layer for a picture, if that is not what is shown.
  async goTo(name, picture, unit) {
    const at = this.study.maps.findIndex((entry) => entry.layer === name);
    if (at >= 0 && (at !== this.at || picture !== this.picture) && !(await this.show(at, picture))) return;
    const number = this.order_.indexOf(unit);
    if (number >= 0 && unit !== this.grid.unit) this.grid.go(number);
  }

  // A view that was added to those that the browser's Back goes through.
  async goBack({ layer, picture, open, unit }) {
    if (layer !== this.at || picture !== this.picture) {
      this.check(picture);
      if (!(await this.show(layer, picture))) return;
    }
    if (open) this.open(unit);
    else if (this.large.dialog.open) {
      this.leaving += 1;
      this.large.dialog.close();
    }
  }

  closed() {
    if (this.leaving) this.leaving -= 1;
    else if (!this.large.dialog.open) this.views.close();
  }

  // What is shown now, for the same.
  tell() {
    const detail = { layer: this.layer.entry.layer, picture: this.picture, unit: this.grid.unit ?? 0 };
    dispatchEvent(new CustomEvent("convscope", { detail }));
  }

  visit(at) {
    this.show(at).then(() => this.grid.root.focus({ preventScroll: true }));
    document.getElementById("maps").scrollIntoView();
  }

  turn(by) {
    const to = this.at + by;
    if (0 <= to && to < this.study.maps.length) this.show(to);
  }

  turnPicture(by) {
    const to = this.picture + by;
    if (to < 0 || to >= this.study.pictures.length) return;
    this.check(to);
    this.show(this.at, to);
  }

  check(picture) {
    const input = this.root.querySelector(`input[name=picture][value="${picture}"]`);
    if (input) input.checked = true;
  }

  // What units can be ordered by: all the columns that a layer has, the answer first.
  orders() {
    const titles = this.titles();
    const names = Object.keys(titles).filter((name) => this.layer.columns.includes(name));
    const before = this.order.value;
    this.order.replaceChildren(...names.map((name) => new Option(titles[name].title, name)), new Option("unit number", "unit"));
    this.order.value = [...names, "unit"].includes(before) ? before : names[0];
    const forms = formsOf(this.layer);
    const shown = this.shown.value;
    this.shown.replaceChildren(...forms.map(([name, title]) => new Option(title, name)));
    this.shown.value = forms.some(([name]) => name === shown) ? shown : "maps";
  }

  titles() {
    return titlesOf(this.layer.entry, this.picture);
  }

  // Draw again with what is chosen now.
  arrange() {
    const { layer, colours } = this;
    if (!layer) return;
    this.colourName = colours.of(this.colour.value, layer);
    const drawn = [layer, this.scale.value, this.colourName];
    if (!this.drawn || drawn.some((each, at) => each !== this.drawn[at])) {
      this.atlas = new Atlas(layer, colours, this.scale.value, this.colourName);
      this.drawn = drawn;
    }
    this.order_ = ordered(searched(layer, this.search, this.find("[data-search-says]")), layer, this.order.value);
    this.grid.show({ layer, atlas: this.atlas, order: this.order_, side: Number(this.side.value), marks: colours.marks, note: (unit) => this.note(unit), painter: painterOf(this.shown.value, this.view, getComputedStyle(this.root)) });
    this.find("[data-caption]").textContent = captionOf(this);
    this.find("[data-count]").textContent = this.order_.length === layer.units ? counted(layer.units, "map") : `${this.order_.length} of ${counted(layer.units, "map")}`;
    if (this.order_.length) this.grid.say();
    if (this.order_.length) this.point(this.grid.unit, null);
  }

  note(unit) {
    const name = this.order.value;
    if (name === "unit") return this.layer.isConstant(unit) ? "constant" : "";
    const value = this.layer.column(name)[unit];
    return Number.isNaN(value) ? "" : name === "active" ? percent(value) : short(value);
  }

  get view() {
    return {
      layer: this.layer, image: this.image, atlas: this.atlas, colours: this.colours, marks: this.colours.marks,
      scale: this.scale.value, colour: this.colourName, titles: this.titles(),
      describe: (unit) => this.describe(unit), says: (unit) => this.says(unit),
      kernels: () => this.data.kernels(this.layer.entry), names: this.study.pictures.map((picture) => picture.name),
      everyPicture: () => Promise.all(this.study.pictures.map(async (_, picture) => this.likewise(await this.data.load(this.layer.entry, picture)))),
      signal: this.signal, channels: this.study.signal?.channels, depth: this.depth,
    };
  }

  // What is drawn of the same layer for another picture.
  likewise(whole) {
    return this.depth ? this.slice(whole) : whole;
  }

  describe(unit) {
    if (!this.layer) return "";
    const { layer } = this;
    const fact = (name) => short(layer.column(name)[unit]);
    if (layer.isDead(unit)) return `Unit ${unit}: dead, zero everywhere`;
    return `Unit ${unit}${layer.whole ? `, slice ${layer.slice}` : ""}: ${fact("low")} to ${fact("high")}, mean ${fact("mean")}, ${percent(layer.column("active")[unit])} active`;
  }

  says(unit) {
    const { entry } = this.layer;
    return `${this.study.pictures[this.picture].name}; ${entry.reading}; ${this.colourName}, ${SCALES[this.scale.value]}; number ${this.order_.indexOf(unit) + 1} of ${this.order_.length}.`;
  }

  point(unit, place) {
    if (this.layer && unit !== undefined) this.panel.show(this.view, unit, place);
  }

  open(unit) {
    this.tell();
    this.views.add({ layer: this.at, picture: this.picture, open: true, unit }, this.large.dialog.open);
    this.large.show(this.view, unit);
  }

  stepLarge(by) {
    const to = this.order_.indexOf(this.large.unit) + by;
    if (to < 0 || to >= this.order_.length) return;
    this.grid.go(to);
    this.open(this.order_[to]);
  }

  // On paper nothing scrolls: all tiles stand there one after the other, in place of the grid.
  spread(whole) {
    this.find("[data-paper]").replaceChildren(...(whole ? this.grid.apart() : []));
  }
}

staysInFrame();
const root = document.querySelector("[data-viewer]");
if (root) {
  const study = JSON.parse(document.getElementById("study").textContent);
  const viewer = new Viewer(root, study);
  globalThis.convscope.viewer = viewer; // to look into from a console, and from tests
  viewer.show(study.first).then(() => viewer.glance.refresh());
}
