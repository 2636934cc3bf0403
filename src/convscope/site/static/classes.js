// What a layer does for the classes: sheets that lie beside the page, one at a time.

export class Classes {
  constructor(sheets, at) {
    Object.assign(this, { sheets, at });
    this.layer = at("class-layer");
    this.label = at("class-of");
    this.layer.append(...sheets.map((each, number) => new Option(each.layer, number)));
    this.layer.value = sheets.length - 1;
    this.layer.addEventListener("change", () => this.choose());
    this.label.addEventListener("change", () => this.show());
    this.choose();
  }

  get sheet() {
    return this.sheets[Number(this.layer.value)];
  }

  choose() {
    const before = this.label.selectedOptions[0]?.textContent;
    this.label.replaceChildren(...this.sheet.maps.map((each, number) => new Option(each.label, number)));
    const same = this.sheet.maps.findIndex((each) => each.label === before);
    if (same >= 0) this.label.value = same;
    this.label.closest("label").hidden = !this.sheet.maps.length;
    this.show();
  }

  show() {
    this.put("class-cams", this.sheet.cams);
    this.put("class-maps", this.sheet.maps[Number(this.label.value)]);
  }

  put(id, drawn) {
    const figure = this.at(id), image = figure.querySelector("img");
    figure.hidden = !drawn;
    if (!drawn) return;
    Object.assign(image, { src: drawn.src, width: drawn.size[0], height: drawn.size[1] }); // or what stands below moves when it is there
    image.alt = drawn.words; // which the sheet says itself too
  }
}
