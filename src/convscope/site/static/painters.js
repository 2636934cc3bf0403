// What is drawn in a tile in place of the plain map.

import { hatch } from "./colour.js";
import { layOver } from "./over.js";
import { crop } from "./picture.js";
import { tileCurve } from "./signal.js";

// The forms that the maps of a layer have: [[name, title], ...], the plain one first.
export function formsOf(layer) {
  if (layer.entry.shape.length === 2) return [["maps", "heat strips"], ["curves", "curves"]];
  if (!layer.isPicture) return [["maps", "maps"]];
  return [["maps", "maps"], ...(layer.entry.receptive ? [["crops", "picture crops"]] : []), ...(layer.liesOver ? [["over", "over the picture"]] : [])];
}

// (context, unit, x, y, width, height) => draws a tile; null for the plain map.
export function painterOf(form, view, style) {
  const { layer, image, marks } = view;
  if (form === "crops") {
    return (context, unit, x, y, w, h) => {
      context.fillStyle = style.getPropertyValue("--soft");
      context.fillRect(x, y, w, h);
      const field = layer.seenBy(unit);
      if (field) crop(context, image, field, x, y, w, h, layer.cell(layer.peak(unit)));
    };
  }
  if (form === "over") {
    return (context, unit, x, y, w, h) => {
      context.drawImage(image, x, y, w, h);
      context.globalAlpha = 0.6;
      if (!layer.isDead(unit)) layOver(context, view, unit, x, y, w, h);
      context.globalAlpha = 1;
    };
  }
  if (form === "curves") {
    return (context, unit, x, y, w, h) => {
      if (layer.isDead(unit)) hatch(context, marks, x, y, w, h);
      else tileCurve(context, layer, unit, x, y, w, h, style.getPropertyValue("--ink"), style.getPropertyValue("--line"));
    };
  }
  return null;
}
