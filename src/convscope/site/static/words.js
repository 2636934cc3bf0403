// What the page says of the maps that it shows.

import { SCALES } from "./colour.js";
import { counted, short } from "./numbers.js";

// The columns that units can be ordered by, the answer first where it was measured: {name: {title, says, short}}.
export function titlesOf(entry, picture) {
  const label = entry.answer?.labels[picture];
  const answer = { title: `speaks for ${label}`, short: `for ${label}`, says: `how much each speaks for "${label}" (${entry.answer?.how})`, answer: true };
  return {
    ...(entry.answer && { answer }),
    mean: { title: "mean", says: "their mean" },
    max: { title: "greatest value", says: "their greatest value" },
    active: { title: "share active", says: "the share of the map above zero" },
    variance: { title: "variance", says: "their variance" },
  };
}

// Everything that a picture has to say of itself: layer, picture, size, reading, order, colours, scale, range, oddities, preprocessing.
export function captionOf({ layer, study, picture, grid, order, scale, shown, colourName }) {
  const { entry } = layer;
  const [h, w] = layer.size;
  const dead = entry.activated ? countOf(layer, "isDead") : null;
  const constant = countOf(layer, "isConstant");
  const nonfinite = layer.column("nonfinite").reduce((sum, each) => sum + each, 0);
  const times = Math.max(h / grid.h, w / grid.w);
  const reduced = times > 1 && shown.value !== "curves" ? `; drawn ${short(times)} times smaller, by leaving out pixels` : "";
  return [
    `${entry.layer} · ${study.pictures[picture].name}: ${counted(layer.units, "map")} of ${entry.shape.slice(1).join(" × ") || "1"}${entry.note}${layer.whole ? `; slice ${layer.slice} of each volume, in the colours of the whole` : ""}${reduced}; ${entry.reading}`,
    order.value === "unit" ? "as they are numbered" : `ranked by ${titlesOf(entry, picture)[order.value].says}`,
    `${colourName}${colourName === "diverging" ? ", centred at zero" : ""}, ${SCALES[scale.value]}; over all ${short(layer.low)} to ${short(layer.high)}`,
    dead === null ? "read before an activation, so which maps are dead cannot be said" : dead ? `${dead} dead (zero everywhere for this picture): hatched` : "none dead",
    ...(constant ? [`${constant} constant`] : []),
    ...(nonfinite ? [`${counted(nonfinite, "value")} not finite: magenta`] : []),
    "colours in 254 steps of each map's range; the numbers are exact",
    `the picture was ${study.preprocess_text}`,
  ].join("; ").concat(".");
}

function countOf(layer, test) {
  let count = 0;
  for (let unit = 0; unit < layer.units; unit++) count += layer[test](unit);
  return count;
}
