// The pictures as points of a plane that can be moved and zoomed; where there is room, their thumbnails.

const CLOSE = 40, MOST = 160; // pixels between points from which on thumbnails are drawn, and how many at most

export class Points {
  constructor(root, legend, facts, beside) {
    Object.assign(this, { root, beside, canvas: root.querySelector("canvas"), zoom: 1, centre: [0.5, 0.5] });
    this.colours = facts.classes.map((_, number) => `hsl(${(number * 137.5) % 360} 62% ${number % 2 ? 58 : 46}%)`);
    // At once: if it came with the points, it would push what stands below away from under a pointer.
    legend.append(...facts.embedding.labels.map((number) => this.entry(facts.classes[number], this.colours[number])));
  }

  async start() {
    this.data = await this.beside.get("embedding");
    const scaled = (values) => {
      const [low, high] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
      return values.map((value) => (value - low) / (high - low || 1));
    };
    [this.x, this.y] = [scaled(this.data.x), scaled(this.data.y)];
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    this.root.setAttribute("aria-busy", "false");
  }

  entry(name, colour) {
    const item = document.createElement("span"), dot = document.createElement("i");
    dot.style.background = colour;
    item.append(dot, name);
    return item;
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.scale(Math.exp(-event.deltaY / 400), [event.offsetX, event.offsetY]);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => event.buttons && this.move(event.movementX, event.movementY));
    canvas.addEventListener("dblclick", () => this.whole());
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
      if (step) event.preventDefault(), this.move(...step);
      if (event.key === "0") this.whole();
      if (["+", "=", "-"].includes(event.key)) this.scale(event.key === "-" ? 0.8 : 1.25, [canvas.clientWidth / 2, canvas.clientHeight / 2]);
    });
  }

  get side() {
    return Math.min(this.canvas.clientWidth, this.canvas.clientHeight) * 0.92 * this.zoom;
  }

  place(at) {
    return [this.canvas.clientWidth / 2 + (this.x[at] - this.centre[0]) * this.side, this.canvas.clientHeight / 2 - (this.y[at] - this.centre[1]) * this.side];
  }

  whole() {
    Object.assign(this, { zoom: 1, centre: [0.5, 0.5] });
    this.draw();
  }

  move(dx, dy) {
    this.centre = [this.centre[0] - dx / this.side, this.centre[1] + dy / this.side];
    this.draw();
  }

  scale(factor, [x, y]) {
    const [dx, dy] = [x - this.canvas.clientWidth / 2, y - this.canvas.clientHeight / 2];
    const before = this.side;
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.5), 200);
    this.centre = [this.centre[0] + dx / before - dx / this.side, this.centre[1] - dy / before + dy / this.side];
    this.draw();
  }

  draw() {
    const { canvas } = this, ratio = window.devicePixelRatio || 1, context = canvas.getContext("2d");
    [canvas.width, canvas.height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio];
    context.scale(ratio, ratio);
    const near = [];
    for (let at = 0; at < this.x.length; at += 1) {
      const [x, y] = this.place(at);
      if (x < -40 || y < -40 || x > canvas.clientWidth + 40 || y > canvas.clientHeight + 40) continue;
      near.push([at, x, y]);
      context.fillStyle = this.colours[this.data.label[at]] ?? "#888";
      context.globalAlpha = 0.75;
      context.fillRect(x - 2, y - 2, 4, 4);
    }
    context.globalAlpha = 1;
    this.drawn = Symbol("drawn");
    const spread = Math.sqrt((canvas.clientWidth * canvas.clientHeight) / Math.max(near.length, 1));
    if (near.length <= MOST && spread > CLOSE) near.forEach(([at, x, y]) => this.thumbnail(context, at, x, y, this.drawn));
  }

  async thumbnail(context, at, x, y, drawn) {
    const image = this.data.picture[at] < 0 ? null : await this.beside.image(this.data.picture[at]);
    if (!image || this.drawn !== drawn) return; // moved on meanwhile
    context.drawImage(image, x - 22, y - 22, 44, 44);
    Object.assign(context, { strokeStyle: this.colours[this.data.label[at]] ?? "#888", lineWidth: 2 });
    context.strokeRect(x - 22, y - 22, 44, 44);
  }
}
