// Tiles in a scrolling grid, drawn on one canvas of the size of what can be seen: 2,048 of them cost no more than twenty.
//
// For a screen reader and the keyboard it is a list box whose one option is the unit at the cursor, with its number among all.

import { hatch } from "./colour.js";

const LABEL = 17;
const GAP = 10;

export class Grid {
  // on: {point(unit, [y, x] or null), open(unit)}; describe(unit): a sentence for a screen reader
  constructor(root, on, describe) {
    Object.assign(this, { root, on, describe, order: [], cursor: -1, hovered: -1, columns: 1 });
    this.canvas = root.querySelector("canvas");
    this.spacer = root.querySelector(".spacer");
    this.option = root.querySelector("[role=option]");
    root.addEventListener("scroll", () => this.refresh(), { passive: true });
    root.addEventListener("pointermove", (event) => this.hover(event));
    root.addEventListener("pointerleave", () => this.leave());
    root.addEventListener("click", (event) => this.click(event));
    root.addEventListener("keydown", (event) => this.key(event));
    for (const name of ["focus", "blur"]) root.addEventListener(name, () => this.refresh());
    new ResizeObserver(() => this.measure()).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.refresh());
  }

  // layer, atlas: what is drawn; order: unit numbers; side: the longer side of a tile in CSS pixels; note(unit): a word beside
  // the number; painter(context, unit, x, y, w, h): draws something else than the map
  show({ layer, atlas, order, side, marks, note = () => "", painter = null }) {
    const unit = this.order[this.cursor];
    Object.assign(this, { layer, atlas, order, side, marks, note, painter, hovered: -1 });
    this.cursor = order.length ? Math.max(0, order.indexOf(unit)) : -1;
    this.measure();
  }

  get unit() {
    return this.order[this.cursor];
  }

  measure() {
    if (!this.layer) return;
    const [h, w] = this.layer.size;
    [this.h, this.w] = tileSize(h, w, this.side);
    this.cell = [this.h + LABEL + GAP, Math.max(this.w, 30) + GAP];
    this.columns = Math.max(1, Math.floor((this.root.clientWidth - GAP) / this.cell[1]));
    const rows = Math.ceil(this.order.length / this.columns);
    this.spacer.style.height = `${rows * this.cell[0] + GAP}px`;
    this.refresh();
  }

  refresh() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.layer) this.draw();
    });
  }

  draw() {
    const [width, height] = [this.root.clientWidth, this.root.clientHeight];
    const ratio = globalThis.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
      this.canvas.style.height = `${height}px`;
      this.canvas.style.marginBottom = `${-height}px`; // the tiles' room begins where the canvas does
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.style = getComputedStyle(this.root);
    context.fillStyle = this.style.getPropertyValue("--paper");
    context.fillRect(0, 0, width, height);
    const top = this.root.scrollTop;
    const first = Math.max(0, Math.floor((top - GAP) / this.cell[0])) * this.columns;
    const last = Math.ceil((top + height) / this.cell[0]) * this.columns;
    for (let at = first; at < Math.min(last, this.order.length); at++) this.tile(context, at, top);
  }

  tile(context, at, top) {
    const unit = this.order[at];
    const [x, above] = this.corner(at);
    const y = above - top + LABEL;
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.fillStyle = this.style.getPropertyValue(this.layer.isDead(unit) ? "--quiet" : "--ink");
    context.textAlign = "left";
    context.fillText(unit, x, y - LABEL / 2);
    const room = this.w - context.measureText(unit).width - 6;
    const note = this.word(unit);
    if (note && context.measureText(note).width <= room) {
      context.textAlign = "right";
      context.fillStyle = this.style.getPropertyValue("--quiet");
      context.fillText(note, x + this.w, y - LABEL / 2);
    }
    this.paint(context, unit, x, y);
    const marked = at === this.hovered || (at === this.cursor && document.activeElement === this.root);
    if (marked) {
      context.strokeStyle = this.style.getPropertyValue("--accent");
      context.lineWidth = 3;
      context.strokeRect(x - 2.5, y - 2.5, this.w + 5, this.h + 5);
    }
  }

  // What stands beside a unit's number.
  word(unit) {
    return this.layer.isDead(unit) ? "dead" : this.note(unit);
  }

  paint(context, unit, x, y) {
    if (this.painter) this.painter(context, unit, x, y, this.w, this.h);
    else if (this.layer.isDead(unit)) hatch(context, this.marks, x, y, this.w, this.h);
    else this.atlas.draw(context, unit, x, y, this.w, this.h);
  }

  // All tiles, each by itself, for paper: between any two rows of them a sheet may end, and within a canvas it would cut one.
  apart() {
    return this.layer ? this.order.map((unit) => this.alone(unit)) : [];
  }

  alone(unit) {
    const [figure, words, canvas] = ["figure", "figcaption", "canvas"].map((name) => document.createElement(name));
    figure.style.width = `${Math.max(this.w, 30)}px`;
    words.append(...[String(unit), this.word(unit)].map((textContent) => Object.assign(document.createElement("span"), { textContent })));
    const ratio = globalThis.devicePixelRatio || 1;
    Object.assign(canvas, { width: Math.round(this.w * ratio), height: Math.round(this.h * ratio) });
    Object.assign(canvas.style, { width: `${this.w}px`, height: `${this.h}px` });
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paint(context, unit, 0, 0);
    figure.append(words, canvas);
    return figure;
  }

  // The upper left corner of a cell, in the coordinates of the whole grid.
  corner(at) {
    return [GAP + (at % this.columns) * this.cell[1], GAP / 2 + Math.floor(at / this.columns) * this.cell[0]];
  }

  // Where a unit's tile is drawn on the canvas now: {x, y, width, height} in CSS pixels; null if it is not shown.
  place(unit) {
    const at = this.order.indexOf(unit);
    if (at < 0) return null;
    const [x, y] = this.corner(at);
    return { x, y: y + LABEL - this.root.scrollTop, width: this.w, height: this.h };
  }

  at(event) {
    const box = this.root.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - this.root.clientLeft - GAP, event.clientY - box.top - this.root.clientTop + this.root.scrollTop - GAP / 2];
    const [column, row] = [Math.floor(x / this.cell[1]), Math.floor(y / this.cell[0])];
    const number = row * this.columns + column;
    if (column < 0 || column >= this.columns || row < 0 || number >= this.order.length) return [-1, null];
    const [dy, dx] = [y - row * this.cell[0] - LABEL, x - column * this.cell[1]];
    const inside = 0 <= dy && dy < this.h && 0 <= dx && dx < this.w;
    const [h, w] = this.layer.size;
    return [number, inside ? [Math.floor((dy / this.h) * h), Math.floor((dx / this.w) * w)] : null];
  }

  hover(event) {
    if (!this.layer) return;
    const [number, place] = this.at(event);
    if (number !== this.hovered) this.refresh();
    this.hovered = number;
    if (number >= 0) this.on.point(this.order[number], place);
  }

  leave() {
    this.hovered = -1;
    this.refresh();
    if (this.unit !== undefined) this.on.point(this.unit, null);
  }

  click(event) {
    const [number] = this.at(event);
    if (number < 0) return;
    this.go(number);
    this.on.open(this.order[number]);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.root.clientHeight / this.cell?.[0] ?? 1)) * this.columns;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns, PageUp: -page, PageDown: page };
    if (event.altKey || event.ctrlKey || event.metaKey || !this.order.length) return;
    if (event.key in steps) this.step(steps[event.key]);
    else if (event.key === "Home") this.go(0);
    else if (event.key === "End") this.go(this.order.length - 1);
    else if (event.key === "Enter" || event.key === " ") this.on.open(this.unit);
    else return;
    event.preventDefault();
  }

  step(by) {
    const to = this.cursor + by;
    if (0 <= to && to < this.order.length) this.go(to);
    else if (Math.abs(by) > 1) this.go(by < 0 ? this.cursor % this.columns : this.order.length - 1);
  }

  // Put the cursor on the number-th tile and bring it into view.
  go(number) {
    this.cursor = number;
    const [, y] = this.corner(number);
    const root = this.root;
    if (y < root.scrollTop) root.scrollTop = Math.max(0, y - GAP);
    else if (y + this.cell[0] > root.scrollTop + root.clientHeight) root.scrollTop = y + this.cell[0] - root.clientHeight;
    this.say();
    this.refresh();
    this.on.point(this.unit, null);
  }

  say() {
    this.option.textContent = this.unit === undefined ? "No unit" : this.describe(this.unit);
    this.option.setAttribute("aria-posinset", this.cursor + 1);
    this.option.setAttribute("aria-setsize", this.order.length);
  }
}

// The drawn size of an h x w map: its own times a whole number, or as much smaller as it has to be. A signal is made a strip.
export function tileSize(h, w, side) {
  if (h === 1 && w > 1) return [Math.round(side / 2), w <= 2.5 * side ? w * Math.floor((2.5 * side) / w) : Math.round(2.5 * side)];
  const [tall, wide] = [h, w];
  const ratio = side / Math.max(tall, wide);
  const factor = ratio >= 1 ? Math.floor(ratio) : ratio;
  return [Math.max(1, Math.round(tall * factor)), Math.max(1, Math.round(wide * factor))];
}
