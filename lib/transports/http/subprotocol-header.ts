/**
 * One element of the list: a token (RFC 9110 §5.6.2) between optional blanks. No two parts overlap: linear on
 * any input.
 */
const ELEMENT = /^[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*$/;

/** More than any client needs: two protocols, a bearer and a ticket. */
const MAX_ELEMENTS = 32;

/**
 * The elements of a `Sec-WebSocket-Protocol` header in the client's order, `undefined` when the header is
 * malformed: an element that is no token, a repeated one (RFC 6455 §4.1), or more than 32.
 */
export function parseSubprotocols(header: string): string[] | undefined {
  // A limit above the bound tells "too many" without splitting the rest of a hostile header.
  const parts = header.split(',', MAX_ELEMENTS + 1);
  if (parts.length > MAX_ELEMENTS) return undefined;
  const elements = new Set<string>();
  for (const part of parts) {
    const element = ELEMENT.exec(part)?.[1];
    if (element === undefined || elements.has(element)) return undefined;
    elements.add(element);
  }
  return [...elements];
}
