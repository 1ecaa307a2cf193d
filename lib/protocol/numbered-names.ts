const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
/** The largest index of a list. */
const MAX_INDEX = 2 ** 32 - 2;
const NUMBER = /^(?:0|[1-9]\d{0,9})$/;

/**
 * Whether an engine may keep members of this name as the elements of a list. Added to an empty object, one of them then makes room
 * for all before it: `{ "1000": 1 }`, seven bytes of MessagePack, takes 12 KB.
 */
export function isNumbered(name: string): boolean {
  const first = name.charCodeAt(0);
  return first >= DIGIT_0 && first <= DIGIT_9 && NUMBER.test(name) && Number(name) <= MAX_INDEX;
}

/**
 * An object with those of the names that are {@link isNumbered}, each of them 0: their place is made at once, as in an object that is
 * parsed from JSON, and takes no more than they need. Whoever makes a copy of an object that somebody else chose begins with it.
 *
 * @param names as `Object.keys` and `for in` give them: numbers first.
 */
export function recordFor(names: readonly string[]): Record<string, unknown> {
  const [first] = names;
  if (first === undefined || !isNumbered(first)) return {};
  const members = names.length === 1 ? first : names.filter(isNumbered).join('":0,"');
  return JSON.parse(`{"${members}":0}`) as Record<string, unknown>;
}
