import { CLOSE_CODES } from '../../protocol/close-codes.js';

/** By code: the catalogue, and what needs no message of either side. */
const REASONS: ReadonlyMap<number, string> = new Map([
  ...Object.entries(CLOSE_CODES).map(([name, { code }]) => [code, name] as const),
  [1001, 'going_away'],
  [1005, 'no_status'],
  [1006, 'abnormal'],
]);

/** Why a connection ended, in a word; `'other'` for a code that a peer made up. There are few words, whatever clients send. */
export function closeReasonOf(code: number): string {
  return REASONS.get(code) ?? 'other';
}
