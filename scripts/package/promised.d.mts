export function promisedOnly(
  documents: ReadonlyMap<string, string>,
  entryPoints: ReadonlyMap<string, readonly string[]>,
): readonly string[];
