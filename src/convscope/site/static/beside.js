// What lies beside the page: files of numbers, which are scripts that call `found`, and thumbnails.

const KEPT = 1500; // thumbnails in memory

export class Beside {
  constructor() {
    this.waiting = new Map();
    this.images = new Map();
    globalThis.found = (key, value) => this.waiting.get(key)?.resolve(value);
  }

  // A promise of what page/`key`.js holds. A page from a disk may not read a file, but may run a script.
  get(key) {
    if (!this.waiting.has(key)) {
      const entry = {};
      entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
      this.waiting.set(key, entry);
      const script = Object.assign(document.createElement("script"), { src: `page/${key}.js` });
      script.onerror = () => entry.reject(new Error(`page/${key}.js is not there`));
      document.head.append(script);
    }
    return this.waiting.get(key).promise;
  }

  // The thumbnail of a picture; null where there is none. of: another input than the one that is shown
  image(number, of = "") {
    const key = `${of} ${number}`, folder = of ? `${of.replace(":", "-")}/` : "";
    if (!this.images.has(key)) {
      if (this.images.size > KEPT) this.images.delete(this.images.keys().next().value);
      const name = `thumbnails/${folder}${String(Math.floor(number / 1000)).padStart(4, "0")}/${String(number).padStart(7, "0")}.webp`;
      this.images.set(key, new Promise((resolve) => {
        const image = new Image();
        image.onload = () => resolve(image);
        image.onerror = () => resolve(null);
        image.src = name;
      }));
    }
    return this.images.get(key);
  }
}

// top, left, height, width of what is shown for position `place` of a map, as shares of the picture.
export function boxOf(field, spatial, place) {
  if (!field) return [0, 0, 1, 1];
  const { size } = field;
  const at = [Math.floor(place / spatial[1]), place % spatial[1]];
  const [top, left] = [0, 1].map((axis) => field.starts[axis][at[axis]] / size[axis]);
  const [bottom, right] = [0, 1].map((axis) => field.stops[axis][at[axis]] / size[axis]);
  return [top, left, bottom - top, right - left];
}

// Draw a part of an image into a square of a canvas, as large as fits, in the middle.
export function drawPart(context, image, [top, left, height, width], x, y, side) {
  const [h, w] = [height * image.naturalHeight, width * image.naturalWidth];
  const scale = side / Math.max(h, w);
  context.imageSmoothingEnabled = scale < 6;
  const [dw, dh] = [w * scale, h * scale];
  context.drawImage(image, left * image.naturalWidth, top * image.naturalHeight, w, h, x + (side - dw) / 2, y + (side - dh) / 2, dw, dh);
}
