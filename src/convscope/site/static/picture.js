// The picture as the network received it, with what a unit sees outlined on it.

export class Picture {
  constructor(canvas) {
    this.canvas = canvas;
  }

  // image: an <img> that is loaded; fields: [{field: [top, left, bottom, right], strong}], in pixels of the picture
  show(image, fields = [], over = null) {
    const [height, width] = [image.naturalHeight, image.naturalWidth];
    const scale = Math.max(1, Math.round(512 / Math.max(width, height)));
    [this.canvas.width, this.canvas.height] = [width * scale, height * scale];
    const context = this.canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(image, 0, 0, width * scale, height * scale);
    over?.(context, width * scale, height * scale);
    for (const { field, strong } of fields.filter((each) => !isPadding(each.field))) {
      outline(context, field.map((side) => side * scale), [width * scale, height * scale], { strong, dim: strong && !over });
    }
  }
}

// A rectangle that can be seen on any picture: light within dark; strong or dashed. `dim` darkens what lies outside.
function outline(context, [top, left, bottom, right], [width, height], { strong, dim }) {
  context.save();
  if (dim) {
    context.fillStyle = "rgb(0 0 0 / 0.45)";
    context.beginPath();
    context.rect(0, 0, width, height);
    context.rect(left, top, right - left, bottom - top);
    context.fill("evenodd");
  }
  context.setLineDash(strong ? [] : [8, 6]);
  for (const [colour, line] of [["rgb(0 0 0 / 0.75)", strong ? 7 : 5], ["rgb(255 255 255)", strong ? 3 : 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.strokeRect(left, top, right - left, bottom - top);
  }
  context.restore();
}

// A promise of an <img> that can be drawn.
export function loaded(source) {
  const image = new Image();
  image.src = source;
  return image.decode().then(() => image);
}

// Whether a field has no pixel of the picture: such a place sees the padding only.
export function isPadding([top, left, bottom, right]) {
  return top >= bottom || left >= right;
}

// The part of the picture that a field covers, as large as fits into a box; `cell`, a part of it, is outlined.
export function crop(context, image, [top, left, bottom, right], x, y, width, height, cell = null) {
  if (isPadding([top, left, bottom, right])) return;
  const factor = Math.min(height / (bottom - top), width / (right - left));
  const [tall, wide] = [(bottom - top) * factor, (right - left) * factor];
  context.imageSmoothingEnabled = false;
  const [x0, y0] = [x + (width - wide) / 2, y + (height - tall) / 2];
  context.drawImage(image, left, top, right - left, bottom - top, x0, y0, wide, tall);
  if (!cell) return;
  const box = [x0 + (cell[1] - left) * factor, y0 + (cell[0] - top) * factor, (cell[3] - cell[1]) * factor, (cell[2] - cell[0]) * factor];
  for (const [colour, line] of [["rgb(0 0 0 / 0.75)", 4], ["rgb(255 255 255)", 2]]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: line });
    context.strokeRect(...box);
  }
}

// As text: "rows 12 to 40, columns 3 to 31".
export function fieldText([top, left, bottom, right], [height, width]) {
  if (top <= 0 && left <= 0 && bottom >= height && right >= width) return "the whole picture";
  return `rows ${top} to ${bottom - 1}, columns ${left} to ${right - 1}`;
}
