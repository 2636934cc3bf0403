// The few maps of each block that matter most, each above the part of the picture where it is strongest.

import { Few } from "./colour.js";
import { drawMap, isWide, laidOver } from "./panel.js";
import { crop, Picture } from "./picture.js";

const COUNT = 8;
const SIDE = 84;

export class Glance {
  // on: {load(at): Promise of [layer, image], rank(layer): unit numbers, title(layer): what they are ranked by, open(at, unit)}
  constructor(root, colours, on) {
    Object.assign(this, { root, colours, on });
    this.rows = Array.from(root.querySelectorAll("[data-glance]"));
  }

  // Fill the rows one after the other; again, if another picture was chosen meanwhile.
  async refresh() {
    const asked = (this.asked = Symbol("rows"));
    for (const row of this.rows) {
      await this.fill(row).catch(() => {}); // a missing file is said where its layer is chosen
      if (asked !== this.asked) return;
      await new Promise((done) => setTimeout(done, 30)); // let the page answer its reader in between
    }
  }

  async fill(row) {
    const { asked } = this;
    const at = Number(row.dataset.glance);
    const [layer, image] = await this.on.load(at);
    if (asked !== this.asked) return;
    const name = this.colours.of("auto", layer);
    const view = { layer, image, marks: this.colours.marks, atlas: new Few(layer, this.colours, "map", name) };
    const units = this.on.rank(layer).filter((unit) => !layer.isDead(unit)).slice(0, COUNT);
    row.querySelector("[data-ranked]").textContent = this.on.title(layer);
    row.querySelector("[data-tiles]").replaceChildren(...units.map((unit) => this.tile(view, at, unit)));
  }

  tile(view, at, unit) {
    const button = document.createElement("button");
    button.type = "button";
    const amount = amountOf(view.layer, unit);
    button.setAttribute("aria-label", `Unit ${unit} of ${view.layer.entry.layer}, ${amount}: large`);
    drawMap(button.appendChild(document.createElement("canvas")), view, unit, SIDE);
    const field = view.layer.seenBy(unit);
    if (field) {
      const part = button.appendChild(document.createElement("canvas"));
      if (isWide(field, view.image)) new Picture(part).show(view.image, [], laidOver(view, unit));
      else {
        part.width = part.height = SIDE;
        crop(part.getContext("2d"), view.image, field, 0, 0, SIDE, SIDE, view.layer.cell(view.layer.peak(unit)));
      }
    }
    button.append(String(unit));
    button.append(Object.assign(document.createElement("small"), { className: "quiet", textContent: amount }));
    button.addEventListener("click", () => this.on.open(at, unit));
    return button;
  }
}

// By how much a unit speaks for the answer, with its sign; its mean where that was not measured.
function amountOf(layer, unit) {
  const value = layer.column(layer.entry.answer ? "answer" : "mean")[unit];
  if (Number.isNaN(value)) return "not measured";
  const text = String(Number(value.toPrecision(2)));
  return layer.entry.answer && value > 0 ? `+${text}` : text;
}
