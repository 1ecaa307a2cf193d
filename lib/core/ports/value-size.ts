/** Deeper than any value that a codec takes. */
const MAX_DEPTH = 128;

/**
 * Bytes that a value counts as where a limit is in bytes, about those of its JSON text: a string its UTF-8 bytes and 2, bytes
 * their length, any other simple value 8, a list or object 2, and for each of its elements 1 and their sizes, with the names.
 */
export function sizeOfValue(value: unknown, depth = 0): number {
  switch (typeof value) {
    case 'undefined':
    case 'function':
    case 'symbol':
      return 0;
    case 'string':
      return sizeOfText(value);
    case 'object':
      return value === null ? 8 : sizeOfObject(value, depth + 1);
    default:
      return 8;
  }
}

function sizeOfObject(value: object, depth: number): number {
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (depth > MAX_DEPTH) return 0;
  let size = 2;
  if (Array.isArray(value)) {
    for (const element of value as readonly unknown[]) size += 1 + sizeOfValue(element, depth);
    return size;
  }
  for (const [name, element] of Object.entries(value))
    if (element !== undefined) size += 1 + sizeOfText(name) + sizeOfValue(element, depth);
  return size;
}

function sizeOfText(text: string): number {
  return 2 + Buffer.byteLength(text);
}
