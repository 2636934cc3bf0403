// The page of a scan: the layer that is looked at, the order of its units, and the unit that is chosen.

import { counted } from "./numbers.js";
import { Beside } from "./beside.js";
import { Tiles } from "./tiles.js";
import { UnitPanel } from "./unit.js";
import { Points } from "./points.js";
import { Classes } from "./classes.js";
import { Views } from "./views.js";

const facts = JSON.parse(document.getElementById("study").textContent);
const beside = new Beside();
const at = (id) => document.getElementById(id);
const chosen = { layer: facts.layers.length - 1, unit: null, data: null, order: [] };

const panel = new UnitPanel(at("unit"), facts, beside, (unit) => choose(unit));
const tiles = new Tiles(at("tiles"), at("room"), facts, beside, (unit, walked) => choose(unit, true, walked));
const views = new Views((view) => (view ? look(view.layer, view.unit) : fromHash()), (view) => `#layer=${view.layer}&unit=${view.unit}`);

function option(value, text) {
  return Object.assign(document.createElement("option"), { value, textContent: text });
}

function fillControls() {
  at("layer").append(...facts.layers.map((each, number) => option(number, `${each.layer} · ${each.units}`)));
  at("sort").append(...["unit", ...facts.columns].map((name) => option(name, name)));
  at("sort").value = facts.classes.length > 1 ? "selectivity" : "max";
  at("class")?.append(option("", "any"), ...facts.classes.map((name, number) => option(number, name)));
  for (const id of ["sort", "order", "only", "class"]) at(id)?.addEventListener("change", arrange);
  at("layer").addEventListener("change", () => look(Number(at("layer").value)));
  at("find").addEventListener("change", () => at("find").value !== "" && choose(Number(at("find").value)));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-layer]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return; // which open it elsewhere
    event.preventDefault();
    look(Number(link.dataset.layer)).then(() => at("units").scrollIntoView());
  });
}

async function look(layer, unit = null) {
  const asked = (chosen.asked = Symbol(layer));
  at("layer").value = layer;
  const data = await beside.get(`layer${layer}`).catch((error) => error);
  if (chosen.asked !== asked) return; // another one was asked for meanwhile
  if (data instanceof Error) {
    at("about").textContent = `${data.message}.`;
    at("layer").value = chosen.layer;
    return;
  }
  Object.assign(chosen, { layer, data }); // together: until then the layer before can still be gone through
  arrange();
  const known = unit !== null && unit < facts.layers[layer].units; // an address may be that of another scan
  if (known || chosen.order.length) choose(known ? unit : chosen.order[0], known);
}

function arrange() {
  const { data } = chosen, entry = facts.layers[chosen.layer], name = at("sort").value, sign = Number(at("order").value);
  if (!data) return;
  const column = name === "unit" ? [...Array(entry.units).keys()] : data.columns[name];
  const only = at("only").value, best = at("class")?.value ?? "";
  const kept = [...Array(entry.units).keys()].filter((unit) => (!only || data.flags[only][unit]) && (best === "" || data.best[unit] === Number(best)));
  const way = name === "unit" ? -sign : sign; // numbers count up unless the least is asked for
  kept.sort((a, b) => {
    if (column[a] === null || column[b] === null) return (column[a] === null) - (column[b] === null) || a - b;
    return way * (column[a] - column[b]) || a - b;
  });
  chosen.order = kept;
  tiles.show(chosen.layer, data, kept, name);
  const read = entry.layer === entry.read_at ? "its own output" : `after its activation (${entry.read_at})`;
  const silent = entry.activated ? "" : ", before any activation, so that being zero means nothing";
  at("about").textContent = `${counted(kept.length, "unit")} of ${entry.units} of ${entry.layer}, ${read}${silent}. Each tile: what drives the unit most, ${data.field ? data.field.words : "the whole picture"}.`;
}

function choose(unit, scroll = true, walked = false) {
  const entry = facts.layers[chosen.layer];
  const valid = Number.isInteger(unit) && unit >= 0 && unit < entry.units;
  at("find").setAttribute("aria-invalid", String(!valid));
  if (!valid || !chosen.data) return;
  chosen.unit = unit;
  tiles.select(unit, scroll);
  panel.show(entry, chosen.data, unit);
  views.add({ layer: chosen.layer, unit }, walked);
}

function fromHash() {
  const found = /layer=(\d+)(?:&unit=(\d+))?/.exec(location.hash);
  if (!found && chosen.data) return; // a link to another part of the page
  const layer = found ? Number(found[1]) : facts.layers.length - 1;
  return look(Math.min(layer, facts.layers.length - 1), found?.[2] ? Number(found[2]) : null);
}

fillControls();
fromHash();
if (facts.class_sheets.length) new Classes(facts.class_sheets, at);
if (facts.embedding) {
  const points = new Points(at("points"), at("legend"), facts, beside);
  new IntersectionObserver((seen, observer) => seen.some((each) => each.isIntersecting) && (observer.disconnect(), points.start())).observe(at("points"));
}
