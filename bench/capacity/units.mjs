const BYTES = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};
const SECONDS = { ms: 0.001, s: 1, m: 60, h: 3_600, d: 86_400 };
const BITS = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };

/** `'500'`, `'1e6'` or `'100k'` → a number. */
export function count(text) {
  return scaled(text, { '': 1, k: 1e3, m: 1e6 }, 'a number such as 500 or 100k');
}

/** `'2GB'`, `'512Mi'` → bytes. */
export function bytes(text) {
  return scaled(text, { '': 1, ...BYTES }, 'a size such as 2GB or 512MiB');
}

/** `'25s'`, `'1h'`, `'0'` → seconds. */
export function seconds(text) {
  return text === '0' ? 0 : scaled(text, SECONDS, 'a duration such as 25s, 25ms or 1h');
}

/** `'1Gbit'` → bits a second. */
export function bits(text) {
  return scaled(text, BITS, 'a bandwidth such as 100Mbit or 1Gbit');
}

/** `'60%'`, `'60'` or `'0.6'` → 0.6. */
export function share(text) {
  const value = scaled(text, { '': 1, '%': 1 }, 'a share such as 60%');
  return text.endsWith('%') || value > 1 ? value / 100 : value;
}

function scaled(text, units, wanted) {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?(?:e\d+)?) ?([a-z%]*)$/i.exec(text) ?? [];
  const factor = units[unit.toLowerCase()];
  if (number === undefined || factor === undefined) throw new RangeError(`wants ${wanted}, not "${text}"`);
  return Number(number) * factor;
}
