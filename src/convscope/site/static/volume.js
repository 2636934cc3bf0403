// Volumes, a slice at a time. They are stored with their slices side by side; one is drawn, in the colours of the whole volume.

import { Layer } from "./data.js";

const NONFINITE_LEVEL = 255;

export function depthOf(layer) {
  return layer.entry.shape.length === 4 ? layer.entry.shape[1] : 0;
}

// One slice of every map of a layer. Its numbers are those of the whole volumes; its places are those of the slice.
export class Slice extends Layer {
  // input: [channels, depth, height, width] of what the network received, null where it takes any size
  constructor(whole, slice, input) {
    super(whole.entry, whole, whole.numbers, whole.levels);
    const [height, width] = [whole.size[0], whole.size[1] / depthOf(whole)];
    const levels = new Uint8Array(whole.units * height * width);
    for (let row = 0; row < whole.units * height; row++) {
      const from = row * whole.size[1] + slice * width;
      levels.set(whole.levels.subarray(from, from + width), row * width);
    }
    Object.assign(this, { whole, slice, input, levels, size: [height, width], low: whole.low, high: whole.high });
  }

  isConstant(unit) {
    return this.whole.isConstant(unit);
  }

  words(place) {
    return `slice ${this.slice}, row ${place[0]}, column ${place[1]}`;
  }

  sliceOfPeak(unit) {
    return Math.floor(this.whole.peak(unit)[1] / this.size[1]);
  }

  strongest(unit) {
    const [y, x] = this.whole.peak(unit);
    return `slice ${this.sliceOfPeak(unit)}, row ${y}, column ${x % this.size[1]}`;
  }

  // (y, x) of the greatest value in this slice; null where all of it has one value.
  peak(unit) {
    if (this.slice === this.sliceOfPeak(unit)) return [this.whole.peak(unit)[0], this.whole.peak(unit)[1] % this.size[1]];
    const [height, width] = this.size;
    let best = -1;
    let least = NONFINITE_LEVEL;
    for (let at = 0; at < height * width; at++) {
      const level = this.levels[unit * height * width + at];
      if (level === NONFINITE_LEVEL) continue;
      least = Math.min(least, level);
      if (best < 0 || level > this.levels[unit * height * width + best]) best = at;
    }
    return best < 0 || this.levels[unit * height * width + best] === least ? null : [Math.floor(best / width), best % width];
  }

  // Its rows and columns are places of the input's slice, where it is known which one that is.
  get isPicture() {
    return Boolean(this.input && this.entry.receptive);
  }

  field(place) {
    if (!place || !this.isPicture) return null;
    const { starts, stops } = this.entry.receptive;
    const [y, x] = place;
    return [starts[1][y], starts[2][x], stops[1][y], stops[2][x]];
  }

  // The slice of the input over which this one stands: the middle of those that it depends on, as if the input had no edges.
  get seen() {
    const { centres, receptive: { starts, stops } } = this.entry;
    if (centres) return Math.min(this.input[1] - 1, Math.max(0, Math.floor(centres[0][this.slice])));
    return Math.floor((starts[0][this.slice] + stops[0][this.slice] - 1) / 2);
  }

  // That slice, first channel, cut out of a picture of all of them side by side: it stands for an <img> from here on.
  cut(image) {
    if (!this.isPicture) return image;
    const [channels, , height, width] = this.input;
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height, naturalWidth: width, naturalHeight: height });
    canvas.getContext("2d").drawImage(image, this.seen * channels * width, 0, width, height, 0, 0, width, height);
    return canvas;
  }

  get seenWords() {
    const [channels, depth] = this.input;
    return `The input's slice ${this.seen} of 0 to ${depth - 1}${channels > 1 ? `, channel 0 of ${channels}` : ""}. `;
  }
}

// A range that moves through the slices of a volume; hidden where there are none.
export class Scrubber {
  // on(slice): the reader moved it
  constructor(element, on) {
    this.element = element;
    [this.input, this.output] = [element.querySelector("input"), element.querySelector("output")];
    this.input.addEventListener("input", () => {
      this.say();
      on(Number(this.input.value));
    });
  }

  show(depth, slice) {
    this.element.hidden = !depth;
    if (!depth) return;
    [this.input.max, this.input.value] = [depth - 1, slice];
    this.say();
  }

  say() {
    this.output.textContent = `${this.input.value} of 0 to ${this.input.max}`;
    this.input.setAttribute("aria-valuetext", `slice ${this.output.textContent}`);
  }
}
