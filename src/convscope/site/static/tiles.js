// The units of a layer as tiles of their top crops. Only those in sight are there, however many units the layer has.

import { boxOf, drawPart } from "./beside.js";
import { short } from "./numbers.js";

const WIDE = 132, TEXT = 40, SIDE = 3; // pixels that a tile needs at least, and of its words; crops along its side

export class Tiles {
  constructor(view, room, facts, beside, choose) {
    Object.assign(this, { view, room, facts, beside, choose, there: new Map(), order: [], selected: null });
    view.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw(true)).observe(view);
    addEventListener("beforeprint", () => this.inOrder());
    view.addEventListener("keydown", (event) => this.key(event));
    room.addEventListener("click", (event) => {
      const tile = event.target.closest(".tile");
      if (tile) choose(Number(tile.dataset.unit));
    });
  }

  show(layer, data, order, column) {
    Object.assign(this, { layer, data, order, column });
    this.view.scrollTop = 0;
    this.draw(true);
  }

  get across() {
    return Math.max(1, Math.floor(this.view.clientWidth / WIDE));
  }

  get wide() {
    return Math.floor(this.view.clientWidth / this.across);
  }

  get high() {
    return this.wide + TEXT;
  }

  draw(anew = false) {
    if (anew) {
      this.there.clear();
      this.room.replaceChildren();
    }
    const across = this.across, rows = Math.ceil(this.order.length / across);
    this.room.style.height = `${rows * this.high}px`;
    const first = Math.max(0, Math.floor(this.view.scrollTop / this.high) - 1);
    const last = Math.min(rows, Math.ceil((this.view.scrollTop + this.view.clientHeight) / this.high) + 1);
    for (const [place, tile] of this.there) {
      if (place < first * across || place >= last * across) tile.remove(), this.there.delete(place);
    }
    for (let place = first * across; place < Math.min(last * across, this.order.length); place += 1) {
      if (!this.there.has(place)) this.there.set(place, this.tile(place, across));
    }
  }

  // On paper stand those that are there, in their order: whose crops were not asked for yet cannot be waited for.
  inOrder() {
    const places = [...this.there.keys()].sort((a, b) => a - b);
    this.room.append(...places.map((place) => this.there.get(place)));
    const [first, last, all] = [places[0] + 1, places.at(-1) + 1, this.order.length];
    this.room.dataset.paper = places.length < all ? `Here are those in sight, ${first} to ${last} of ${all}.` : "";
  }

  tile(place, across) {
    const unit = this.order[place], tile = document.createElement("div");
    tile.className = "tile";
    tile.dataset.unit = unit;
    tile.setAttribute("role", "option");
    tile.setAttribute("aria-selected", String(unit === this.selected));
    Object.assign(tile.style, { left: `${(place % across) * this.wide}px`, top: `${Math.floor(place / across) * this.high}px`, width: `${this.wide}px`, height: `${this.high}px` });
    const canvas = Object.assign(document.createElement("canvas"), { width: 252, height: 252 });
    const name = document.createElement("b"), line = document.createElement("span");
    name.textContent = `unit ${unit}`;
    line.textContent = this.words(unit);
    tile.append(canvas, name, line);
    this.room.append(tile);
    this.crops(canvas, unit);
    return tile;
  }

  words(unit) {
    const best = this.data.best[unit], value = this.column === "unit" ? null : this.data.columns[this.column][unit];
    if (this.data.flags.dead[unit]) return "dead: zero in every picture";
    const number = this.column === "unit" ? [] : [value === null ? "unknown" : short(value)];
    return [...number, ...(best >= 0 ? [this.facts.classes[best]] : [])].join(" · ");
  }

  async crops(canvas, unit) {
    if (this.data.flags.dead[unit]) return;
    const context = canvas.getContext("2d"), side = canvas.width / SIDE, { top, field } = this.data;
    const { spatial, activated } = this.facts.layers[this.layer];
    top.pictures[unit].slice(0, SIDE * SIDE).forEach(async (picture, rank) => {
      if (activated && top.values[unit][rank] === 0) return; // it does not fire there, so that no part of the picture drives it
      const image = await this.beside.image(picture, field?.of);
      if (!image) return;
      const box = boxOf(field, spatial, top.positions[unit][rank]);
      drawPart(context, image, box, (rank % SIDE) * side + 1, Math.floor(rank / SIDE) * side + 1, side - 2);
    });
  }

  select(unit, scroll) {
    this.selected = unit;
    const place = this.order.indexOf(unit);
    if (scroll && place >= 0) {
      const top = Math.floor(place / this.across) * this.high;
      if (top < this.view.scrollTop || top + this.high > this.view.scrollTop + this.view.clientHeight) this.view.scrollTop = top - this.high / 2;
      this.draw();
    }
    for (const tile of this.there.values()) tile.setAttribute("aria-selected", String(Number(tile.dataset.unit) === unit));
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.across, ArrowDown: this.across }[event.key];
    if (!step || !this.order.length) return;
    event.preventDefault();
    const place = this.order.indexOf(this.selected) + step;
    if (place >= 0 && place < this.order.length) this.choose(this.order[place], true);
  }
}
