/**
 * @param sink its name, for the error.
 * @throws RangeError for bounds that are no whole numbers above 0.
 */
export function checkBounds(sink: string, bounds: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(bounds))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`${sink}: ${name} must be a whole number of at least 1`);
}
