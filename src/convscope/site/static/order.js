// Which units are shown, and in which order.

import { counted } from "./numbers.js";
import { parseSearch } from "./search.js";

// The units that a search keeps; all of them where it is not understood, which `message` then says.
export function searched(layer, field, message) {
  const names = layer.columns.filter((name) => !["low", "peak"].includes(name));
  const units = Array.from({ length: layer.units }, (_, unit) => unit);
  try {
    const test = parseSearch(field.value, [...names, "min"]);
    field.removeAttribute("aria-invalid");
    const found = units.filter((unit) => test({ ...layer.facts(unit), min: layer.column("low")[unit] }));
    message.textContent = field.value.trim() ? (found.length ? `${counted(found.length, "unit")} found` : "No unit is like that.") : "";
    return found;
  } catch (error) {
    field.setAttribute("aria-invalid", "true");
    message.textContent = error.message;
    return units;
  }
}

// The greatest first, what is not a number last, equal ones by their number.
export function ordered(units, layer, by) {
  if (by === "unit") return units;
  const column = layer.column(by);
  const rank = (unit) => (Number.isNaN(column[unit]) ? -Infinity : column[unit]);
  return units.slice().sort((a, b) => rank(b) - rank(a) || a - b);
}
