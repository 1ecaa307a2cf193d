/**
 * A copy without the fields whose value is `undefined`: an optional field without a value is left out on the wire (P5b),
 * whatever a codec makes of `undefined`.
 */
export function omitUndefined<T extends object>(fields: T): T {
  const copy: Partial<T> = {};
  for (const name in fields) if (fields[name] !== undefined) copy[name] = fields[name];
  return copy as T;
}
