// A signal with the map of a unit under it: one axis, which counts the samples of the signal.
//
// A position of a map stands over the middle of the samples that it depends on (`centres`), as on the sheets.

import { short } from "./numbers.js";

const [CHANNEL, MAP, STRIP, TEXT, CHANNELS] = [44, 72, 10, 15, 6]; // heights in CSS pixels; channels that are drawn
const TICKS = 5;

// Whether the maps of a layer lie along the signal.
export function isAlong(view) {
  return Boolean(view.signal && view.layer.entry.centres && view.layer.entry.shape.length === 2);
}

export class SignalPlot {
  constructor(canvas) {
    this.canvas = canvas;
  }

  // view: what the viewer shows, with `signal`, a Layer whose units are channels, and `channels`, their names
  show(view, unit, place) {
    Object.assign(this, { view, unit });
    const { signal, channels, layer } = view;
    const [centres] = layer.entry.centres;
    this.samples = signal.size[1];
    [this.first, this.last] = [Math.min(0, centres[0]), Math.max(this.samples - 1, centres.at(-1))];
    const shown = channels.slice(0, CHANNELS);
    const context = this.paper(shown.length * (CHANNEL + TEXT) + MAP + STRIP + 2 * TEXT);
    const bottom = this.height - TEXT;
    this.shades(context, unit, place, bottom);
    this.ticks(context, bottom);
    shown.forEach((name, channel) => {
      const [low, high] = [signal.column("low")[channel], signal.column("high")[channel]];
      const top = channel * (CHANNEL + TEXT) + TEXT;
      this.label(context, `${name}, the input: ${short(low)} to ${short(high)}`, top);
      this.curve(context, signal, channel, null, [low, high], top, CHANNEL, "--ink");
    });
    const top = shown.length * (CHANNEL + TEXT) + TEXT;
    const [low, high] = [layer.column("low")[unit], layer.column("high")[unit]];
    this.label(context, `unit ${unit}: ${short(low)} to ${short(high)}`, top);
    this.curve(context, layer, unit, centres, [low, high], top, MAP, "--accent");
    this.strip(context, view, unit, centres, top + MAP);
  }

  paper(height) {
    const ratio = globalThis.devicePixelRatio || 1;
    [this.width, this.height] = [this.canvas.clientWidth || 272, height];
    [this.canvas.width, this.canvas.height] = [Math.round(this.width * ratio), Math.round(height * ratio)];
    this.style = getComputedStyle(this.canvas);
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = this.colour("--paper");
    context.fillRect(0, 0, this.width, height);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    return context;
  }

  colour(name) {
    return this.style.getPropertyValue(name);
  }

  // Where a sample stands across.
  across(sample) {
    return ((sample - this.first) / (this.last - this.first || 1)) * (this.width - 1) + 0.5;
  }

  label(context, text, top) {
    context.fillStyle = this.colour("--quiet");
    context.textAlign = "left";
    context.fillText(text, 0, top - TEXT / 2);
  }

  // The samples that the strongest position sees, filled; those at the pointer, dashed.
  shades(context, unit, place, bottom) {
    const { layer } = this.view;
    const box = (position) => {
      const [start, stop] = samplesOf(layer, position);
      if (stop <= start) return [0, 0, 0, 0]; // in the padding
      return [this.across(start), 0, Math.max(1, this.across(stop - 1) - this.across(start)), bottom];
    };
    if (!layer.entry.receptive) return;
    if (!layer.isDead(unit) && !layer.isConstant(unit)) {
      context.globalAlpha = 0.2;
      context.fillStyle = this.colour("--accent");
      context.fillRect(...box(layer.peak(unit)[1]));
      context.globalAlpha = 1;
    }
    if (place) {
      context.setLineDash([4, 3]);
      context.strokeStyle = this.colour("--quiet");
      context.strokeRect(...box(place[1]));
      context.setLineDash([]);
    }
  }

  ticks(context, bottom) {
    const steps = Array.from({ length: 27 }, (_, at) => [1, 2, 5][at % 3] * 10 ** Math.floor(at / 3));
    const step = steps.find((each) => (this.last - this.first) / each <= TICKS);
    context.fillStyle = this.colour("--quiet");
    context.strokeStyle = this.colour("--line");
    for (let at = 0; at <= this.last; at += step) {
      const x = this.across(at);
      context.textAlign = x < 20 ? "left" : x > this.width - 20 ? "right" : "center";
      context.fillText(at, x, bottom + TEXT / 2);
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, bottom);
      context.stroke();
    }
  }

  // A line through the values of a row; of many in a pixel all are drawn over, so that no peak is lost.
  curve(context, rows, unit, places, [low, high], top, height, colour) {
    context.strokeStyle = this.colour("--line");
    context.strokeRect(0.5, top + 0.5, this.width - 1, height - 1);
    context.strokeStyle = this.colour(colour);
    context.lineWidth = 1.25;
    context.beginPath();
    let joined = false;
    for (let at = 0; at < rows.size[1]; at++) {
      const value = rows.value(unit, [0, at]);
      if (Number.isNaN(value)) {
        joined = false;
        continue;
      }
      const share = high > low ? (value - low) / (high - low) : 0.5;
      const [x, y] = [this.across(places ? places[at] : at), top + 2 + (1 - share) * (height - 4)];
      if (joined) context.lineTo(x, y);
      else context.moveTo(x, y);
      joined = true;
      if (rows.size[1] === 1) context.lineTo(x + 2, y);
    }
    context.stroke();
    context.lineWidth = 1;
    this.gaps(context, rows, unit, places, top, height);
  }

  // What is not finite, in its colour.
  gaps(context, rows, unit, places, top, height) {
    if (!rows.column("nonfinite")[unit]) return;
    context.fillStyle = `rgb(${this.view.marks.nonfinite.join(" ")})`;
    for (let at = 0; at < rows.size[1]; at++) {
      if (Number.isNaN(rows.value(unit, [0, at]))) context.fillRect(this.across(places ? places[at] : at) - 1, top, 2, height);
    }
  }

  // The same in colours: each position reaches half-way to its neighbours.
  strip(context, { layer, colours, scale, colour }, unit, centres, top) {
    const lookup = colours.lookup(layer, unit, scale, colour);
    const half = centres.length > 1 ? (centres[1] - centres[0]) / 2 : 0.5;
    centres.forEach((centre, at) => {
      const [left, right] = [at ? (centres[at - 1] + centre) / 2 : centre - half, at + 1 < centres.length ? (centre + centres[at + 1]) / 2 : centre + half];
      const packed = lookup[layer.levels[unit * layer.size[1] + at]];
      context.fillStyle = `rgb(${packed & 255} ${(packed >> 8) & 255} ${(packed >> 16) & 255})`;
      context.fillRect(this.across(left), top, this.across(right) - this.across(left) + 0.5, STRIP);
    });
  }

  // [0, position] of the position that stands nearest to the pointer.
  placeAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const sample = this.first + ((event.clientX - box.left) / box.width) * (this.last - this.first);
    const [centres] = this.view.layer.entry.centres;
    return [0, centres.reduce((best, centre, at) => (Math.abs(centre - sample) < Math.abs(centres[best] - sample) ? at : best), 0)];
  }
}

// [first, one past the last] sample that a position depends on.
export function samplesOf(layer, position) {
  const { starts, stops } = layer.entry.receptive;
  return [starts[0][position], stops[0][position]];
}

export function signalWords({ layer, channels }, unit, place) {
  const says = (position) => {
    const [start, stop] = samplesOf(layer, position);
    return stop > start ? `samples ${start} to ${stop - 1}` : "no sample, only the padding";
  };
  const left = channels.length > CHANNELS ? ` Drawn are the first ${CHANNELS} of ${channels.length} channels.` : "";
  if (!layer.entry.receptive) return `Each position stands over the middle of what it sees.${left}`;
  const flat = layer.isDead(unit) ? "zero" : layer.isConstant(unit) ? "one value" : "";
  const strongest = flat ? `It is ${flat} everywhere, so it has no strongest place.` : `Shaded: what it sees where it is strongest, ${says(layer.peak(unit)[1])}.`;
  return `${strongest}${place ? ` Dashed: ${says(place[1])}, what it sees at the pointer.` : ""}${left}`;
}

// A unit's map as a curve in a tile.
export function tileCurve(context, layer, unit, x, y, width, height, ink, frame) {
  const [low, high] = [layer.column("low")[unit], layer.column("high")[unit]];
  context.strokeStyle = frame;
  context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  context.strokeStyle = ink;
  context.beginPath();
  for (let at = 0; at < layer.size[1]; at++) {
    const value = layer.value(unit, [0, at]);
    const share = high > low ? (value - low) / (high - low) : 0.5;
    if (!Number.isNaN(share)) context.lineTo(x + ((at + 0.5) / layer.size[1]) * width, y + 2 + (1 - share) * (height - 4));
  }
  context.stroke();
}
