// Units whose maps look alike on this picture: the greatest correlations, on maps of at most a few hundred values.

const MOST = 256;

// [[unit, correlation], ...], the most alike first. Units whose map does not vary are alike to nothing.
export function alike(layer, unit, count = 6) {
  const varied = (other) => layer.column("variance")[other] > 0 && !layer.column("nonfinite")[other];
  if (layer.levels.length === layer.units || !varied(unit)) return [];
  const of = sampled(layer, unit);
  const found = [];
  for (let other = 0; other < layer.units; other++) {
    if (other !== unit && varied(other)) found.push([other, product(of, sampled(layer, other))]);
  }
  return found.filter(([, value]) => value > 0).sort((a, b) => b[1] - a[1]).slice(0, count);
}

// A map with mean 0 and length 1. Its levels do: correlation does not change with the range.
function sampled(layer, unit) {
  const size = layer.size[0] * layer.size[1];
  const step = Math.max(1, Math.floor(size / MOST));
  const values = [];
  for (let at = unit * size + (step >> 1); at < (unit + 1) * size; at += step) values.push(layer.levels[at]);
  const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
  const length = Math.hypot(...values.map((each) => each - mean)) || 1;
  return values.map((each) => (each - mean) / length);
}

function product(a, b) {
  return a.reduce((sum, each, at) => sum + each * b[at], 0);
}
