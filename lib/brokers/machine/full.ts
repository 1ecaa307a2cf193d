import type { Done, Full } from './commands.js';

/** When what was refused for lack of room may be tried again, in milliseconds. */
export const FULL_RETRY_MS = 1_000;

export const FULL_TEXT = 'The memory of the server is full; try again later';

/** The refusal of what would have to stay: what is there may be dropped for nothing. */
export const FULL: Full = {
  ok: false,
  code: 'unavailable',
  retryAfterMs: FULL_RETRY_MS,
  message: FULL_TEXT,
};

export const DONE: Done = { ok: true };
