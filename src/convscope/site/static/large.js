// One unit, large: its map with a colour bar, the picture, its kernel, and the units that look like it.

import { alike } from "./alike.js";
import { drawn, hatch } from "./colour.js";
import { drawBar, drawMap, factsOf, fieldWords, fill, isWide, laidOver, overWords } from "./panel.js";
import { isPadding, Picture } from "./picture.js";
import { counted, short } from "./numbers.js";
import { isAlong, SignalPlot, signalWords } from "./signal.js";
import { Scrubber } from "./volume.js";

export class Large {
  // on: {step(by), go(unit), slice(number)}
  constructor(dialog, on) {
    Object.assign(this, { dialog, on });
    this.find = (selector) => dialog.querySelector(selector);
    this.picture = new Picture(this.find("canvas.seen"));
    this.plot = new SignalPlot(this.find("canvas.seen"));
    this.scrubber = new Scrubber(this.find("[data-slice]"), (slice) => on.slice(slice));
    this.find("[data-to-strongest]").addEventListener("click", () => on.slice(this.view.layer.sliceOfPeak(this.unit)));
    this.over = this.find("[data-over]");
    this.over.addEventListener("change", () => this.redraw(null));
    this.find("[data-before]").addEventListener("click", () => on.step(-1));
    this.find("[data-after]").addEventListener("click", () => on.step(1));
    this.find("[data-close]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("keydown", (event) => this.key(event));
    const map = this.find("canvas.map");
    map.addEventListener("pointermove", (event) => this.redraw(this.placeOn(map, event)));
    const seen = this.find("canvas.seen");
    seen.addEventListener("pointermove", (event) => isAlong(this.view) && this.redraw(this.plot.placeAt(event)));
    for (const canvas of [map, seen]) canvas.addEventListener("pointerleave", () => this.redraw(null));
  }

  show(view, unit) {
    Object.assign(this, { view, unit });
    this.find("h3").textContent = `Unit ${unit} of ${view.layer.entry.layer}`;
    this.find("[data-says]").textContent = view.says(unit);
    const map = this.find("canvas.map");
    drawMap(map, view, unit, 512);
    map.setAttribute("aria-label", view.describe(unit));
    drawBar(this.find("[data-bar]"), view, unit);
    this.scrubber.show(view.depth, view.layer.slice);
    this.dialog.classList.toggle("along", isAlong(view));
    this.over.parentElement.hidden = !view.layer.liesOver;
    if (!this.dialog.open) this.dialog.showModal(); // before what is drawn as wide as there is room
    this.redraw(null);
    this.kernel();
    this.neighbours();
    this.pictures();
  }

  redraw(place) {
    const { view, unit } = this;
    fill(this.find("dl"), factsOf(view, unit, place));
    if (isAlong(view)) {
      this.plot.show(view, unit, place);
      this.find("[data-field]").textContent = signalWords(view, unit, place);
      return;
    }
    const strongest = view.layer.seenBy(unit);
    const pointed = place && view.layer.field(place);
    const over = !pointed && ((this.over.checked && view.layer.liesOver) || (strongest && isWide(strongest, view.image)));
    const outlined = pointed ?? (this.over.checked ? null : strongest);
    this.picture.show(view.image, outlined ? [{ field: outlined, strong: true }] : [], over ? laidOver(view, unit) : null);
    this.find("[data-field]").textContent = this.words(strongest, pointed);
  }

  words(strongest, pointed) {
    if (pointed) return isPadding(pointed) ? "At the pointer it lies in the padding and sees no pixel of the picture." : "Outlined: what it sees at the pointer.";
    return this.over.checked && this.view.layer.liesOver ? `The map over the picture, ${overWords(this.view.layer)}.` : fieldWords(this.view, this.unit, strongest);
  }

  placeOn(map, event) {
    const box = map.getBoundingClientRect();
    const [h, w] = this.view.layer.size;
    const at = (position, length, count) => Math.min(count - 1, Math.max(0, Math.floor((position / length) * count)));
    return [at(event.clientY - box.top, box.height, h), at(event.clientX - box.left, box.width, w)];
  }

  async kernel() {
    const { view, unit } = this;
    const kernels = await view.kernels(); // the arrows may have gone on meanwhile
    if (view !== this.view || unit !== this.unit) return;
    this.find("[data-kernel]").hidden = !kernels;
    if (!kernels) return;
    const { size, most, of } = kernels;
    const area = size[0] * size[1];
    const peak = kernels.peaks[unit];
    const figures = Array.from({ length: most }, (_, at) => {
      const start = (unit * most + at) * area;
      return this.slice(kernels.values.subarray(start, start + area), size, kernels.inputs[unit * most + at], peak);
    });
    this.find("[data-kernels]").replaceChildren(...figures);
    const which = of === most ? `all ${counted(of, "input channel")}` : `the ${most} of ${of} input channels that weigh most, by norm`;
    this.find("[data-kernel-says]").textContent = `${size[0]} × ${size[1]}, ${which}; blue is negative, white zero, red positive, ±${short(peak)} at the ends.`;
  }

  slice(values, [h, w], input, peak) {
    const figure = document.createElement("figure");
    const canvas = figure.appendChild(document.createElement("canvas"));
    const factor = Math.max(1, Math.floor(64 / Math.max(h, w)));
    const tall = h === 1 && w > 1 ? 20 : factor;
    [canvas.width, canvas.height] = [w * factor, h * tall];
    const context = canvas.getContext("2d");
    const table = this.view.colours.tables.diverging;
    const middle = (table.length / 3 - 1) / 2;
    values.forEach((value, at) => {
      const level = Math.round(middle + (value / 127) * middle);
      context.fillStyle = `rgb(${table.subarray(3 * level, 3 * level + 3).join(" ")})`;
      context.fillRect((at % w) * factor, Math.floor(at / w) * tall, factor, tall);
    });
    canvas.setAttribute("role", "img");
    const greatest = values.reduce((found, each) => (Math.abs(each) > Math.abs(found) ? each : found), 0);
    canvas.setAttribute("aria-label", `Weights of input channel ${input}, the greatest about ${short((greatest / 127) * peak)}`);
    figure.appendChild(document.createElement("figcaption")).textContent = input;
    return figure;
  }

  neighbours() {
    const found = alike(this.view.layer.whole ?? this.view.layer, this.unit);
    this.find("[data-alike]").hidden = !found.length;
    this.find("[data-alikes]").replaceChildren(
      ...found.map(([unit, value]) => {
        const button = document.createElement("button");
        button.type = "button";
        const canvas = button.appendChild(document.createElement("canvas"));
        drawMap(canvas, this.view, unit, 72);
        button.append(`${unit}`);
        button.setAttribute("aria-label", `Unit ${unit}, correlation ${value.toFixed(2)}`);
        button.title = `correlation ${value.toFixed(2)}`;
        button.addEventListener("click", () => this.on.go(unit));
        return button;
      }),
    );
  }

  // The same unit for every picture, coloured by one range.
  async pictures() {
    const { view, unit } = this;
    this.find("[data-pictures]").hidden = view.names.length < 2;
    if (view.names.length < 2) return;
    const layers = await view.everyPicture();
    if (view !== this.view || unit !== this.unit) return;
    const side = (name) => layers.map((layer) => layer.column(name)[unit]);
    let [low, high] = [Math.min(...side("low")), Math.max(...side("high"))];
    const name = view.colours.of("auto", { low: Math.min(...layers.map((layer) => layer.low)) });
    if (name === "diverging") [low, high] = [-Math.max(-low, high), Math.max(-low, high)];
    this.find("[data-pictures-says]").textContent = `${name}, all by one range, ${short(low)} to ${short(high)}.`;
    const figures = layers.map((layer, at) => this.figure(layer, at, view.colours.between(layer, unit, [low, high], name)));
    this.find("[data-every]").replaceChildren(...figures);
  }

  figure(layer, picture, lookup) {
    const figure = document.createElement("figure");
    const canvas = figure.appendChild(document.createElement("canvas"));
    const [h, w] = layer.size;
    const factor = Math.max(1, Math.floor(112 / Math.max(h, w)));
    [canvas.width, canvas.height] = [w * factor, (h === 1 ? Math.ceil(w / 4) : h) * factor]; // a signal is made a strip
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    if (layer.isDead(this.unit)) hatch(context, this.view.marks, 0, 0, canvas.width, canvas.height);
    else context.drawImage(drawn(layer, this.unit, lookup), 0, 0, canvas.width, canvas.height);
    const name = this.view.names[picture];
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Its map for ${name}, greatest value ${short(layer.column("high")[this.unit])}`);
    figure.appendChild(document.createElement("figcaption")).textContent = layer.isDead(this.unit) ? `${name}, dead` : name;
    return figure;
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 };
    if (!(event.key in steps) || event.target.matches("input")) return;
    this.on.step(steps[event.key]);
    event.preventDefault();
  }
}
