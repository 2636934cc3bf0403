// The maps of a layer, brought when they are asked for: from the page itself, or from a script beside it.

import { bytes } from "./colour.js";

const NOISE = 1e-6; // as in the sheets: a range under this share of the magnitude is rounding

export class Layer {
  constructor(entry, payload, numbers, levels) {
    this.entry = entry;
    this.units = payload.units;
    this.size = payload.size;
    this.columns = payload.columns;
    this.numbers = numbers;
    this.levels = levels;
    const some = (name) => this.column(name).filter((_, unit) => this.column("nonfinite")[unit] < levels.length / this.units);
    this.low = least(some("low")); // a map without a finite value has no range
    this.high = greatest(some("high"));
  }

  column(name) {
    const at = this.columns.indexOf(name) * this.units;
    return this.numbers.subarray(at, at + this.units);
  }

  // Zero everywhere; before an activation that means nothing.
  isDead(unit) {
    return this.entry.activated && this.isZero(unit);
  }

  isZero(unit) {
    return this.column("low")[unit] === 0 && this.column("high")[unit] === 0 && !this.column("nonfinite")[unit];
  }

  isConstant(unit) {
    const [low, high] = [this.column("low")[unit], this.column("high")[unit]];
    if (this.levels.length === this.units || this.isZero(unit) || this.column("nonfinite")[unit]) return false;
    return high - low <= NOISE * Math.max(Math.abs(low), Math.abs(high));
  }

  // What a search may ask of a unit.
  facts(unit) {
    const facts = { unit, dead: this.isDead(unit), constant: this.isConstant(unit) };
    for (const name of this.columns) facts[name] = this.column(name)[unit];
    return facts;
  }

  // What stands at (y, x) of the drawn map, for people.
  words([y, x]) {
    return this.entry.shape.length === 2 ? `position ${x}` : `row ${y}, column ${x}`;
  }

  // Where the whole map is strongest.
  strongest(unit) {
    return this.words(this.peak(unit));
  }

  // (y, x) of the greatest value.
  peak(unit) {
    const at = this.column("peak")[unit];
    return [Math.floor(at / this.size[1]), at % this.size[1]];
  }

  // The value at a place, to within half a step of the map's range; NaN where it is not finite.
  value(unit, [y, x]) {
    const level = this.levels[(unit * this.size[0] + y) * this.size[1] + x];
    const [low, high] = [this.column("low")[unit], this.column("high")[unit]];
    return level === 255 ? NaN : low + (level / 254) * (high - low);
  }

  // Whether a map is (h, w): signals are drawn as pictures too, whose columns are no places in the picture.
  get isPicture() {
    return this.entry.shape.length === 3;
  }

  // Whether it can lie over the picture: it is one, and follows from the input that the picture is of.
  get liesOver() {
    return this.isPicture && !this.entry.apart;
  }

  // [top, left, bottom, right] of what a place sees of the picture, in its pixels; null where that is not known.
  field([y, x]) {
    const known = this.entry.receptive;
    if (!known || !this.isPicture || this.size.length !== known.starts.length) return null;
    return [known.starts[0][y], known.starts[1][x], known.stops[0][y], known.stops[1][x]];
  }

  // Whether all finite values of a map are the same, so that no place is the strongest.
  isFlat(unit) {
    if (this.isDead(unit) || this.isConstant(unit)) return true;
    return this.levels.length > this.units && !(this.column("low")[unit] < this.column("high")[unit]);
  }

  // What a unit sees where it is strongest; null where no place is, or where that is not known.
  seenBy(unit) {
    return this.isFlat(unit) ? null : this.field(this.peak(unit));
  }

  // By rows and columns [centres, starts, stops] of its places in the picture; null where it is not known where they stand.
  get stands() {
    const { centres, receptive } = this.entry;
    if (!this.isPicture || !centres || !receptive) return null;
    if (centres.some((axis) => axis.some((centre, at) => at && centre < axis[at - 1]))) return null;
    return [-2, -1].map((axis) => [centres, receptive.starts, receptive.stops].map((each) => each.at(axis)));
  }

  // Where in what a place sees it stands itself, in pixels of the picture; null where that is the middle, as it mostly is.
  cell(place) {
    const field = this.field(place);
    if (!field || !this.entry.centres || field[2] <= field[0] || field[3] <= field[1]) return null; // the last two: padding only
    const [[top, bottom], [left, right]] = place.map((at, axis) => cellAlong(this.entry.centres[axis + this.entry.centres.length - 2], at));
    const off = Math.max(Math.abs(top + bottom - field[0] - field[2]), Math.abs(left + right - field[1] - field[3]));
    if (off <= 2) return null; // twice a pixel
    return [Math.max(top, field[0]), Math.max(left, field[1]), Math.min(bottom, field[2]), Math.min(right, field[3])];
  }
}

// [start, stop] along an axis of what stands for one place: half-way to its neighbours.
function cellAlong(centres, at) {
  const half = centres.length > 1 ? (centres[1] - centres[0]) / 2 : 0.5;
  return [centres[at] + 0.5 - half, centres[at] + 0.5 + half];
}

export class Data {
  // entries: {key: {script}}; scripts call convscope.receive with their payload.
  constructor() {
    this.arrived = new Map();
    this.waiting = new Map();
    this.layers = new Map();
    for (const each of document.querySelectorAll("script.maps")) this.arrived.set(each.dataset.key, each);
    globalThis.convscope = Object.assign(globalThis.convscope ?? {}, { receive: (payload) => this.receive(payload) });
  }

  receive(payload) {
    this.arrived.set(payload.key, payload);
    this.waiting.get(payload.key)?.(payload);
  }

  // A Layer. Rejects with an Error that says which file is missing.
  load(entry, picture) {
    const { key, file } = entry.data[picture];
    if (!this.layers.has(key)) {
      const layer = this.payload(key, file).then((payload) => unpacked(entry, payload));
      layer.catch(() => this.layers.delete(key)); // so that it can be tried again
      this.layers.set(key, layer);
      if (this.layers.size > 12) this.layers.delete(this.layers.keys().next().value); // a page may show hundreds of layers
    }
    return this.layers.get(key);
  }

  // The slices of a layer's kernels, {size, most, of, inputs, peaks, values}; null where it has none.
  async kernels(entry) {
    if (!entry.kernels) return null;
    const { key, file } = entry.kernels;
    const packed = await this.payload(key, file);
    const [inputs, peaks, values] = ["inputs", "peaks", "values"].map((name) => bytes(packed[name]).buffer);
    return { ...packed, inputs: new (packed.wide ? Uint32Array : Uint16Array)(inputs), peaks: new Float32Array(peaks), values: new Int8Array(values) };
  }

  async payload(key, file) {
    const known = this.arrived.get(key);
    if (known) return known instanceof Element ? JSON.parse(known.textContent) : known;
    return new Promise((resolve, reject) => {
      this.waiting.set(key, resolve);
      const script = document.createElement("script");
      script.src = file;
      script.onerror = () => reject(new Error(`The file ${decodeURIComponent(file)} is missing beside this page.`));
      document.head.append(script);
    });
  }
}

async function unpacked(entry, payload) {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("This browser is too old to unpack the maps. Chromium 80, Firefox 113 and Safari 16.4 can.");
  }
  const squeezed = new Blob([bytes(payload.levels)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const levels = new Uint8Array(await new Response(squeezed).arrayBuffer());
  restore(levels, payload.size, payload.way);
  return new Layer(entry, ...completed(payload, new Float32Array(bytes(payload.numbers).buffer)), levels);
}

// Columns that are left out where they say nothing: the greatest value is then the upper end of the range, and all is finite.
function completed(payload, numbers) {
  if (payload.columns.includes("nonfinite")) return [payload, numbers];
  const { units, columns } = payload;
  const all = new Float32Array(numbers.length + 2 * units);
  all.set(numbers);
  all.set(numbers.subarray(columns.indexOf("high") * units, (columns.indexOf("high") + 1) * units), numbers.length);
  return [{ ...payload, columns: [...columns, "max", "nonfinite"] }, all];
}

// Undo the differences that levels are stored as, modulo 256: from above, then from the left.
function restore(levels, [height, width], way) {
  const area = height * width;
  if (way === "gradient") for (let at = 0; at < levels.length; at++) if (at % area >= width) levels[at] += levels[at - width];
  if (way !== "plain") for (let at = 0; at < levels.length; at++) if (at % width) levels[at] += levels[at - 1];
}

function least(values) {
  return values.reduce((found, each) => Math.min(found, each), Infinity);
}

function greatest(values) {
  return values.reduce((found, each) => Math.max(found, each), -Infinity);
}
