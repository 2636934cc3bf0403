// What is typed into the search field, as a test of units.
//
//   dead   constant   nonfinite   alive          words
//   17, 40-52                                    unit numbers and ranges
//   > 3   <= 0.5                                 of the greatest value of a map
//   mean > 0.2   active < 10%   variance >= 1    of any column
//   not dead                                     the opposite
//   mean > 0.2 and active < 10%, 17              "and" binds closer than a comma or "or"

const WORDS = {
  dead: (unit) => unit.dead,
  alive: (unit) => !unit.dead,
  constant: (unit) => unit.constant,
  nonfinite: (unit) => unit.nonfinite > 0,
};
const OPERATORS = {
  ">": (a, b) => a > b,
  "<": (a, b) => a < b,
  ">=": (a, b) => a >= b,
  "<=": (a, b) => a <= b,
  "=": (a, b) => a === b,
};
const NUMBER = "[-+]?(?:\\d+\\.?\\d*|\\.\\d+)(?:e[-+]?\\d+)?";
const COMPARISON = new RegExp(`^([a-z_]*)\\s*(>=|<=|>|<|=)\\s*(${NUMBER})\\s*(%?)$`);
const UNITS = /^(\d+)(?:\s*(?:-|–|to)\s*(\d+))?$/;

export class SearchError extends Error {}

// A function of a unit's facts, {unit, dead, constant, nonfinite, and a number per column}. An empty text keeps all of them.
// Throws SearchError, whose message says what is possible.
export function parseSearch(text, columns) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return () => true;
  const alternatives = wanted.split(/\s*(?:,|;|\bor\b)\s*/).filter(Boolean);
  const tests = alternatives.map((part) => parseAll(part, columns));
  return (unit) => tests.some((test) => test(unit));
}

function parseAll(text, columns) {
  const tests = text.split(/\s*(?:&&?|\band\b)\s*/).filter(Boolean).map((part) => parseOne(part, columns));
  return (unit) => tests.every((test) => test(unit));
}

function parseOne(text, columns) {
  const negated = /^(?:not\s+|!\s*)(.+)$/.exec(text);
  if (negated) {
    const test = parseOne(negated[1], columns);
    return (unit) => !test(unit);
  }
  if (Object.hasOwn(WORDS, text)) return WORDS[text];
  const units = UNITS.exec(text);
  if (units) {
    const [first, last] = [Number(units[1]), Number(units[2] ?? units[1])];
    return ({ unit }) => first <= unit && unit <= last;
  }
  const compared = COMPARISON.exec(text);
  const column = compared && (compared[1] || "max");
  if (compared && columns.includes(column)) {
    const limit = Number(compared[3]) / (compared[4] ? 100 : 1);
    return (unit) => OPERATORS[compared[2]](unit[column], limit);
  }
  throw new SearchError(`"${text}" is not understood. Write dead, alive, > 3, 17, 40-52, not dead, or one of ${columns.join(", ")} with > or <.`);
}
