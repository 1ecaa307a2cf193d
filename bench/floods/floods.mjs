import { answerFloods } from './attacks/answers.mjs';
import { connectFloods } from './attacks/connects.mjs';
import { streamFloods } from './attacks/streams.mjs';
import { frameFloods } from './attacks/frames.mjs';
import { nameFloods } from './attacks/names.mjs';
import { parsedFloods } from './attacks/parsed.mjs';
import { publishFloods } from './attacks/publishes.mjs';

/**
 * Every flood.
 *
 * @typedef {object} Flood
 * @property {string} name
 * @property {string} title What the attackers do.
 * @property {{ options?: object, logs?: Record<string, { events: number, bytes: number }>, verifyMs?: number }} [node] What
 *   the node needs beside its defaults: options, logs that exist before, and how long it takes to verify a token.
 * @property {boolean} [foreign] Whether it floods what is not the library's: measured, not judged.
 * @property {readonly string[]} [answered] What at least one attacker is told of: close codes, statuses of HTTP, codes of
 *   errors. Any of them is enough.
 * @property {boolean} [crowded] Whether more come from one address than may be connected or wait, so that newcomers there may be
 *   refused for the moment.
 * @property {boolean} [fills] Whether it publishes more than the memory broker may hold: then the oldest events go, whoever wrote
 *   them, and the log must say so.
 * @property {number} [slowMs] Bound of round trips and turns, where most of the cost is the HTTP server's and its framework's own,
 *   as the foreign flood `http` shows.
 * @property {number} [heldMb] Megabytes that may be in use after collecting. Default 96.
 * @property {number} [peakMb] Megabytes above the node's own at the peak. Default 192.
 * @property {(army: import('./army.mjs').Army) => Promise<unknown>} attack Runs until the army is over.
 */

/** @type {readonly Flood[]} */
export const floods = [
  ...frameFloods,
  ...answerFloods,
  ...nameFloods,
  ...parsedFloods,
  ...publishFloods,
  ...connectFloods,
  ...streamFloods,
];
