// A map over its picture: each place over the middle of what it depends on, and every pixel that of the nearest place.

// Draws a unit's map into a box that holds the whole picture; stretched where it is not known where its places stand.
export function layOver(context, { layer, atlas, image }, unit, x, y, width, height) {
  const size = [image.naturalHeight, image.naturalWidth];
  const axes = layer.stands ? size.map((length, axis) => runs(...layer.stands[axis], length)) : null;
  if (!axes) return atlas.draw(context, unit, x, y, width, height);
  for (const [row, rows, top, bottom] of axes[0]) {
    for (const [column, columns, left, right] of axes[1]) {
      const [x0, x1] = [left, right].map((at) => Math.round(x + (at / size[1]) * width)); // whole pixels: no seams
      const [y0, y1] = [top, bottom].map((at) => Math.round(y + (at / size[0]) * height));
      atlas.draw(context, unit, x0, y0, x1 - x0, y1 - y0, [row, column, rows, columns]);
    }
  }
}

// Along an axis [[first place, how many, from, to], ...] of places that are equally wide, nothing outside of all that they see.
export function runs(centres, starts, stops, length) {
  const sees = centres.map((_, at) => stops[at] > starts[at]);
  const from = Math.min(length, ...starts.filter((_, at) => sees[at]));
  const to = Math.max(0, ...stops.filter((_, at) => sees[at]));
  const sides = [from, ...centres.slice(1).map((centre, at) => Math.min(to, Math.max(from, (centres[at] + centre) / 2 + 0.5))), to];
  const found = [];
  centres.forEach((_, at) => {
    const [left, right, last] = [sides[at], sides[at + 1], found.at(-1)];
    if (right <= left) return;
    if (last && Math.abs((last[3] - last[2]) / last[1] - (right - left)) < 1e-6 && last[0] + last[1] === at) {
      last[1] += 1;
      last[3] = right;
    } else found.push([at, 1, left, right]);
  });
  return found;
}
