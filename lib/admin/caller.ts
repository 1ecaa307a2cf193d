import type { AdminConfig } from './options.js';

/** Longest name of a caller. */
const MAX_BY = 255;

/** @throws TypeError for what is no name: an act of nobody would be in no audit. */
export function callerOf({ by }: Pick<AdminConfig, 'by'>, request: unknown): string {
  const name: unknown = by(request);
  if (typeof name === 'string' && name !== '' && name.length <= MAX_BY) return name;
  throw new TypeError(
    `RealtimeAdminModule: by() must return a string of 1 to ${MAX_BY} characters: who calls, e.g. (request) => request.user.id`,
  );
}
