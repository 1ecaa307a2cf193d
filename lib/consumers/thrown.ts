import { quoted } from '../core/ports/log-text.js';

/** What was thrown, as text; of what cannot be made text, such as an object without a prototype, only its type. */
export function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return typeof thrown;
  }
}

/** What the application threw, for a line at level `debug`: it may have been made of a record, so it is quoted and shortened. */
export function thrown(error: unknown): string {
  return quoted(textOf(error));
}
