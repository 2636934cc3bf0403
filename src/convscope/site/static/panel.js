// The unit under the pointer or at the cursor: its map, its numbers, and what it sees of the picture.

import { hatch } from "./colour.js";
import { layOver } from "./over.js";
import { fieldText, isPadding, Picture } from "./picture.js";
import { percent, short } from "./numbers.js";
import { isAlong, SignalPlot, signalWords } from "./signal.js";

export class Panel {
  constructor(root) {
    this.title = root.querySelector("[data-unit]");
    this.map = root.querySelector("canvas.map");
    this.bar = root.querySelector("[data-bar]");
    this.facts = root.querySelector("dl");
    this.field = root.querySelector("[data-field]");
    this.root = root;
    this.picture = new Picture(root.querySelector("canvas.seen"));
    this.plot = new SignalPlot(root.querySelector("canvas.seen"));
  }

  // view: what the whole viewer shows now; place: [y, x] under the pointer, or null
  show(view, unit, place) {
    const { layer, image } = view;
    this.title.textContent = `Unit ${unit}`;
    drawMap(this.map, view, unit, 256);
    drawBar(this.bar, view, unit);
    fill(this.facts, factsOf(view, unit, place));
    this.root.classList.toggle("along", isAlong(view));
    if (isAlong(view)) {
      this.plot.show(view, unit, place);
      this.field.textContent = signalWords(view, unit, place);
      return;
    }
    const strongest = layer.seenBy(unit);
    const pointed = place && layer.field(place);
    const fields = [strongest && { field: strongest, strong: true }, pointed && { field: pointed, strong: false }].filter(Boolean);
    this.picture.show(image, fields, strongest && isWide(strongest, image) ? laidOver(view, unit) : null);
    this.field.textContent = fieldWords(view, unit, strongest, pointed);
  }
}

export function fieldWords({ layer, image }, unit, strongest, pointed = null) {
  const size = [image.naturalHeight, image.naturalWidth];
  if (!layer.entry.receptive) return `What units of this layer see of the picture is not known${layer.entry.receptive_note ? `: ${layer.entry.receptive_note}` : ""}.`;
  if (!layer.isPicture) return "Its maps are no pictures, so what a place sees is not outlined.";
  const volume = layer.whole ? layer.seenWords : "";
  if (layer.isDead(unit)) return `${volume}It is zero everywhere, so it has no strongest place.`;
  if (!strongest) return `${volume}It has one value everywhere${volume ? " in this slice" : ""}, so it has no strongest place.`;
  const over = isWide(strongest, image) ? ` Laid over it: its map, ${overWords(layer)}.` : "";
  const slice = volume ? " in this slice" : "";
  const where = isPadding(strongest)
    ? `${volume}Where it is strongest${slice} it lies in the padding and sees no pixel of the picture.`
    : `${volume}Outlined: what it sees where it is strongest${slice}, ${fieldText(strongest, size)}.${over}`;
  if (!pointed) return where;
  return `${where} ${isPadding(pointed) ? "At the pointer it lies in the padding." : "Dashed: what it sees at the pointer."}`;
}

// How a map is laid over the picture, in words.
export function overWords(layer) {
  return layer.stands ? "each value over the middle of what it depends on" : "stretched to the picture's size, as it is not known where its values stand";
}

// Whether a field is so large a part of the picture that its outline tells less than the map laid over it.
export function isWide([top, left, bottom, right], image) {
  return (bottom - top) * (right - left) > 0.5 * image.naturalHeight * image.naturalWidth;
}

// Draws a unit's map over a picture, nothing for a dead one.
export function laidOver(view, unit) {
  return (context, width, height) => {
    context.globalAlpha = 0.6;
    if (!view.layer.isDead(unit)) layOver(context, view, unit, 0, 0, width, height);
    context.globalAlpha = 1;
  };
}

// The facts of a unit as [word, value] pairs.
export function factsOf({ layer, titles }, unit, place = null) {
  const number = (name) => layer.column(name)[unit];
  const facts = [["range", `${short(number("low"))} to ${short(number("high"))}`], ["mean", short(number("mean"))]];
  facts.push(["active", `${percent(number("active"))} of the map is above zero`]);
  for (const name of layer.columns) {
    if (titles[name]?.answer && !Number.isNaN(number(name))) facts.push([titles[name].short, short(number(name))]);
  }
  if (!layer.isFlat(unit)) facts.push(["strongest at", layer.strongest(unit)]);
  if (place) facts.push(["at the pointer", `${short(layer.value(unit, place))} at ${layer.words(place)}`]);
  if (layer.isDead(unit)) return [["dead", "zero everywhere for this picture"]];
  if (layer.isConstant(unit)) facts.unshift(["constant", "one value everywhere"]);
  if (number("nonfinite")) facts.unshift(["not finite", `${number("nonfinite")} values, drawn in magenta`]);
  return facts;
}

export function fill(list, facts) {
  list.replaceChildren(
    ...facts.flatMap(([word, value]) => {
      const [term, text] = [document.createElement("dt"), document.createElement("dd")];
      [term.textContent, text.textContent] = [word, value];
      return [term, text];
    }),
  );
}

// One unit's map, magnified by a whole number to about `side` pixels.
export function drawMap(canvas, { layer, atlas, marks }, unit, side) {
  const [h, w] = layer.size;
  const tall = h === 1 && w > 1 ? Math.max(1, Math.round(w / 4)) : h;
  const factor = Math.max(1, Math.floor(side / Math.max(tall, w)));
  [canvas.width, canvas.height] = [w * factor, tall * factor];
  const context = canvas.getContext("2d");
  if (layer.isDead(unit)) hatch(context, marks, 0, 0, canvas.width, canvas.height);
  else atlas.draw(context, unit, 0, 0, canvas.width, canvas.height);
}

// A colour bar with the values at its ends and in its middle.
export function drawBar(element, { layer, colours, scale, colour }, unit) {
  const [low, high] = colours.limits(layer, unit, scale, colour);
  element.querySelector(".ramp").style.background = colours.gradient(colour);
  const [left, middle, right] = element.querySelectorAll(".ends span");
  const flat = colours.isFlat(layer, unit, scale, colour);
  left.textContent = flat ? "" : short(low);
  middle.textContent = flat ? `${short(layer.column("high")[unit])} everywhere` : colour === "diverging" ? "0" : short((low + high) / 2);
  right.textContent = flat ? "" : short(high);
}
