import { RealtimeError } from '../../protocol/realtime-error.js';

/**
 * Where a page of members begins: after the place that a cursor names, or at the first member without one. Cursors come back from
 * clients.
 *
 * @throws RealtimeError `bad_request` for a cursor that no page ended with: from the beginning again, a client would never end.
 */
export function placeOf(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (/^[1-9]\d{0,14}$/.test(cursor)) return Number(cursor);
  throw new RealtimeError(
    'bad_request',
    'The cursor is none that this server gave: it is the `more` of the page before, or left out for the first page',
  );
}
