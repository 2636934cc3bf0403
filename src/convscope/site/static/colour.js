// From the bytes of maps to colours, exactly as the sheets do it: the same tables, limits and marks.

const STEPS = 254; // of a byte; 255 is a value that is not finite
const NONFINITE = 255;
export const SCALES = { map: "each map by its own range", shared: "all maps by one range" };

export class Colours {
  // tables: {name: base64 of (levels, 3) bytes}, marks: {nonfinite, dead, dead_mark, frame: [r, g, b]}
  constructor({ tables, marks }) {
    this.tables = Object.fromEntries(Object.entries(tables).map(([name, text]) => [name, bytes(text)]));
    this.marks = marks;
  }

  get names() {
    return Object.keys(this.tables);
  }

  // The name behind "auto": around zero where a layer has negative values.
  of(name, layer) {
    return name !== "auto" ? name : layer.low < 0 ? "diverging" : "viridis";
  }

  // The values that get the first and the last colour of a unit's map.
  limits(layer, unit, scale, name) {
    let [low, high] = scale === "shared" ? [layer.low, layer.high] : [layer.column("low")[unit], layer.column("high")[unit]];
    if (name === "diverging") {
      high = Math.max(Math.abs(low), Math.abs(high));
      low = -high;
    }
    return [low, high];
  }

  // 256 colours as the canvas stores them, one for each byte of a unit's map.
  lookup(layer, unit, scale, name) {
    return this.between(layer, unit, this.limits(layer, unit, scale, name), name, this.isFlat(layer, unit, scale, name));
  }

  // Whether a map has no range of its own to be coloured by: then it is in the colour in the middle. Around zero that is zero.
  isFlat(layer, unit, scale, name) {
    const [low, high] = [layer.column("low")[unit], layer.column("high")[unit]];
    return scale === "map" && (low === high || layer.isConstant(unit)) && !(name === "diverging" && high !== 0);
  }

  // The same for limits of any origin; `flat`: all of it in the colour in the middle.
  between(layer, unit, [low, high], name, flat = false) {
    const table = this.tables[name];
    const last = table.length / 3 - 1;
    const [least, greatest] = [layer.column("low")[unit], layer.column("high")[unit]];
    const result = new Uint32Array(256);
    for (let level = 0; level <= STEPS; level++) {
      const value = least + (level / STEPS) * (greatest - least);
      const ratio = high > low ? (value - low) / (high - low) : 0;
      const at = flat ? last / 2 : Math.floor(Math.min(Math.max(ratio * last + 0.5, 0), last + 0.5));
      result[level] = packed(table[3 * at], table[3 * at + 1], table[3 * at + 2]);
    }
    result[NONFINITE] = packed(...this.marks.nonfinite);
    return result;
  }

  // A colour bar as CSS, from the first to the last colour.
  gradient(name) {
    const table = this.tables[name];
    const stops = [];
    for (let at = 0; at < table.length; at += 24) stops.push(`rgb(${table[at]} ${table[at + 1]} ${table[at + 2]})`);
    stops.push(`rgb(${table.at(-3)} ${table.at(-2)} ${table.at(-1)})`);
    return `linear-gradient(to right, ${stops.join(", ")})`;
  }
}

// All maps of a layer in their colours, in one picture off the screen; the grid copies tiles from it.
export class Atlas {
  constructor(layer, colours, scale, name) {
    this.layer = layer;
    const [h, w] = layer.size;
    this.across = Math.max(1, Math.min(layer.units, Math.floor(4096 / w), Math.ceil(Math.sqrt((layer.units * h) / w))));
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.across * w;
    this.canvas.height = Math.ceil(layer.units / this.across) * h;
    const picture = new ImageData(this.canvas.width, this.canvas.height);
    const pixels = new Uint32Array(picture.data.buffer);
    for (let unit = 0; unit < layer.units; unit++) {
      const lookup = colours.lookup(layer, unit, scale, name);
      const [x, y] = this.place(unit);
      let from = unit * h * w;
      for (let row = 0; row < h; row++) {
        let to = (y + row) * this.canvas.width + x;
        for (let column = 0; column < w; column++) pixels[to++] = lookup[layer.levels[from++]];
      }
    }
    this.canvas.getContext("2d").putImageData(picture, 0, 0);
  }

  place(unit) {
    const [h, w] = this.layer.size;
    return [(unit % this.across) * w, Math.floor(unit / this.across) * h];
  }

  // Copy a unit's map to (x, y, width, height) of a canvas: nearest neighbour, so that no detail is invented.
  // `part` of it: [row, column, rows, columns].
  draw(context, unit, x, y, width, height, part = [0, 0, ...this.layer.size]) {
    const [[left, top], [row, column, rows, columns]] = [this.place(unit), part];
    context.imageSmoothingEnabled = false;
    context.drawImage(this.canvas, left + column, top + row, columns, rows, x, y, width, height);
  }
}

// The same for a few units of a layer: only what is drawn is coloured.
export class Few {
  constructor(layer, colours, scale, name) {
    Object.assign(this, { layer, colours, scale, name });
  }

  draw(context, unit, x, y, width, height, [row, column, rows, columns] = [0, 0, ...this.layer.size]) {
    context.imageSmoothingEnabled = false;
    const map = drawn(this.layer, unit, this.colours.lookup(this.layer, unit, this.scale, this.name));
    context.drawImage(map, column, row, columns, rows, x, y, width, height);
  }
}

// One unit's map at its true size.
export function drawn(layer, unit, lookup) {
  const [h, w] = layer.size;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [w, h];
  const picture = new ImageData(w, h);
  const pixels = new Uint32Array(picture.data.buffer);
  const from = unit * h * w;
  for (let at = 0; at < h * w; at++) pixels[at] = lookup[layer.levels[from + at]];
  canvas.getContext("2d").putImageData(picture, 0, 0);
  return canvas;
}

// What a dead map looks like: like no map.
export function hatch(context, marks, x, y, width, height) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.fillStyle = rgb(marks.dead);
  context.fillRect(x, y, width, height);
  context.strokeStyle = rgb(marks.dead_mark);
  context.lineWidth = 1;
  context.beginPath();
  for (let at = -height; at < width; at += 8) {
    context.moveTo(x + at, y + height);
    context.lineTo(x + at + height, y);
  }
  context.stroke();
  context.strokeStyle = rgb(marks.frame);
  context.lineWidth = 2;
  context.strokeRect(x, y, width, height);
  context.restore();
}

export function bytes(base64) {
  const text = atob(base64);
  const result = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) result[at] = text.charCodeAt(at);
  return result;
}

function packed(red, green, blue) {
  return (255 << 24) | (blue << 16) | (green << 8) | red; // little-endian, as every machine with a browser is
}

function rgb([red, green, blue]) {
  return `rgb(${red} ${green} ${blue})`;
}
