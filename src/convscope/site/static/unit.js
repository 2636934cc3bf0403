// One unit: its numbers, what it saw, its kernel, its histogram, its classes, and the units that go with it.

import { boxOf, drawPart } from "./beside.js";
import { percent, short } from "./numbers.js";

const SHARES = new Set(["fires_pictures", "fires_positions", "top_precision"]);
const SIDE_BINS = 256, STEPS = 8, LOWEST = -16; // of scan/histogram.py

export class UnitPanel {
  constructor(root, facts, beside, choose) {
    Object.assign(this, { root, facts, beside, choose });
  }

  show(entry, data, unit) {
    const flags = ["dead", "nearly_dead", "always_on"].filter((name) => data.flags[name][unit]).map((name) => name.replace("_", " "));
    const parts = [heading(`${entry.layer} · unit ${unit}`, "h3"), ...(flags.length ? [paragraph(flags.join(", "))] : [])];
    const fires = entry.activated ? data.top.values[unit].filter((value) => value !== 0).length : data.top.values[unit].length;
    parts.push(this.crops(entry, data, unit, data.top, fires), list(this.numbers(data, unit)));
    if (data.relevance && !data.flags.dead[unit]) {
      parts.push(heading("Where it speaks most for the answer"), this.crops(entry, data, unit, data.relevance), paragraph(data.relevance.said));
    }
    parts.push(heading("How its maximum is spread over the pictures"), histogram(data.histogram[unit]));
    if (data.classes) parts.push(heading("Mean per class"), this.classes(data.classes[unit]));
    if (data.kernel) parts.push(...kernel(data.kernel, unit));
    if (data.neighbours) parts.push(heading("Rise and fall with it"), this.neighbours(data.neighbours[unit]));
    this.root.replaceChildren(...parts);
  }

  numbers(data, unit) {
    return this.facts.columns.filter((name) => data.columns[name][unit] !== null).map((name) => {
      const value = data.columns[name][unit];
      return [name, SHARES.has(name) ? percent(value) : short(value)];
    });
  }

  crops(entry, data, unit, top, fires = top.pictures[unit].length) {
    const grid = document.createElement("div");
    grid.className = "crops";
    if (data.flags.dead[unit]) {
      grid.append(paragraph("It fired in no picture, so that nothing drives it."));
      return grid;
    }
    top.pictures[unit].slice(0, fires).forEach((number, rank) => {
      const figure = document.createElement("figure"), canvas = Object.assign(document.createElement("canvas"), { width: 224, height: 224 });
      const caption = document.createElement("figcaption");
      figure.append(canvas, caption);
      grid.append(figure);
      this.crop(figure, caption, entry, data, number, top.values[unit][rank], top.positions[unit][rank]);
    });
    if (fires < top.pictures[unit].length) grid.append(paragraph("It fires in no other picture."));
    return grid;
  }

  async crop(figure, caption, entry, data, number, value, position) {
    const [image, pictures] = await Promise.all([this.beside.image(number, data.field?.of), this.beside.get("pictures")]);
    const row = pictures.numbers.indexOf(number), label = this.facts.classes[pictures.labels[row]] ?? "";
    caption.textContent = `${short(value)} ${label}`;
    figure.title = `${pictures.names[row]}. A click shows the whole picture.`;
    if (!image) return;
    const box = boxOf(data.field, entry.spatial, position);
    let whole = false;
    const context = figure.firstChild.getContext("2d"), side = figure.firstChild.width;
    const draw = () => {
      context.clearRect(0, 0, side, side);
      drawPart(context, image, whole ? [0, 0, 1, 1] : box, 0, 0, side);
      if (whole) outline(context, image, box, side);
    };
    figure.onclick = () => ((whole = !whole), draw());
    draw();
  }

  classes(values) {
    const known = values.map((value, number) => [this.facts.classes[number], value]).filter(([, value]) => value !== null);
    known.sort((a, b) => b[1] - a[1]);
    return bars(known.slice(0, 12));
  }

  neighbours(pairs) {
    const line = document.createElement("p");
    line.className = "beside";
    for (let at = 0; at < pairs.length; at += 2) {
      const button = Object.assign(document.createElement("button"), { className: "link", textContent: `unit ${pairs[at]}` });
      button.onclick = () => this.choose(pairs[at]);
      const part = document.createElement("span");
      part.append(button, ` ${short(pairs[at + 1])}`);
      line.append(part);
    }
    return line;
  }
}

function outline(context, image, [top, left, height, width], side) {
  const scale = side / Math.max(image.naturalHeight, image.naturalWidth);
  const [h, w] = [image.naturalHeight * scale, image.naturalWidth * scale];
  const place = [(side - w) / 2 + left * w, (side - h) / 2 + top * h, width * w, height * h];
  for (const [wide, colour] of [[4, "#000"], [2, "#fff"]]) {
    Object.assign(context, { lineWidth: wide, strokeStyle: colour });
    context.strokeRect(...place);
  }
}

function heading(text, kind = "h4") {
  return Object.assign(document.createElement(kind), { textContent: text });
}

function paragraph(text) {
  return Object.assign(document.createElement("p"), { textContent: text });
}

function list(pairs) {
  const result = document.createElement("dl");
  for (const [word, value] of pairs) result.append(heading(word, "dt"), heading(value, "dd"));
  return result;
}

function bars(pairs) {
  const result = document.createElement("div"), largest = Math.max(...pairs.map(([, value]) => Math.abs(value)), 1e-30);
  result.className = "bars";
  for (const [word, value] of pairs) {
    const bar = document.createElement("span"), fill = document.createElement("i");
    fill.style.width = `${(Math.abs(value) / largest) * 100}%`;
    bar.append(fill);
    result.append(heading(word, "span"), bar, heading(short(value), "em"));
  }
  return result;
}

// Eight bins per octave lie side by side, so that the axis is logarithmic; the first bar is what is zero.
export function histogram([first, ...counts]) {
  const zero = SIDE_BINS >= first && SIDE_BINS < first + counts.length ? counts[SIDE_BINS - first] : 0;
  const shown = counts.map((count, at) => [first + at, count]).filter(([bin]) => bin !== SIDE_BINS);
  const low = shown.length ? shown[0][0] : 0, span = shown.length ? shown.at(-1)[0] - low + 1 : 1;
  const tallest = Math.max(zero, ...shown.map(([, count]) => count), 1), wide = 240 / span;
  const svg = make("svg", { viewBox: "0 0 300 84", role: "img" });
  const bar = (x, width, count, words) => {
    const rect = make("rect", { x, width: Math.max(width - 0.6, 0.6), y: 64 - (count / tallest) * 60, height: (count / tallest) * 60 });
    rect.append(Object.assign(make("title", {}), { textContent: words }));
    svg.append(rect);
  };
  bar(8, 22, zero, `zero: ${zero} pictures`);
  for (const [bin, count] of shown) bar(50 + (bin - low) * wide, wide, count, `${short(edge(bin))} to ${short(edge(bin + 1))}: ${count} pictures`);
  svg.append(make("line", { x1: 0, x2: 300, y1: 64.5, y2: 64.5 }), words(19, "zero"));
  if (shown.length) svg.append(words(52, short(edge(low)), "start"), words(290, short(edge(low + span)), "end"), words(171, "logarithmic"));
  return svg;
}

function edge(bin) {
  const size = (steps) => 2 ** (LOWEST + Math.floor(steps / STEPS)) * (1 + (steps % STEPS) / STEPS);
  return bin > SIDE_BINS ? size(bin - SIDE_BINS - 1) : -size(SIDE_BINS - bin);
}

function make(name, attributes) {
  const result = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) result.setAttribute(key, value);
  return result;
}

function words(x, text, anchor = "middle") {
  return Object.assign(make("text", { x, y: 77, "text-anchor": anchor }), { textContent: text });
}

// Slices of the kernel, red above zero and blue below, all by the unit's largest absolute weight.
function kernel(data, unit) {
  const line = document.createElement("div"), [high, wide] = data.size, shown = data.inputs[unit].length;
  line.className = "slices";
  data.inputs[unit].forEach((input, at) => {
    const figure = document.createElement("figure"), canvas = Object.assign(document.createElement("canvas"), { width: wide, height: high });
    const context = canvas.getContext("2d"), pixels = context.createImageData(wide, high);
    data.values[unit][at].forEach((value, place) => {
      const share = Math.abs(value) / 127, fade = Math.round(255 * (1 - share));
      pixels.data.set(value >= 0 ? [255 - Math.round(75 * share), fade, fade, 255] : [fade, fade, 255 - Math.round(75 * share), 255], place * 4);
    });
    context.putImageData(pixels, 0, 0);
    figure.append(canvas, heading(`${input}`, "figcaption"));
    line.append(figure);
  });
  const which = shown === data.of ? `all ${data.of} input channels` : `the ${shown} of ${data.of} input channels that weigh most`;
  return [heading("Kernel"), line, paragraph(`${which}; red above zero, blue below, up to ${short(data.largest[unit])}`)];
}
