import type { ClientCommand } from '../../protocol/commands.js';
import type { Envelope } from '../../protocol/envelope.js';
import { errorBody } from '../../protocol/error-body.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { toWireValue } from '../../protocol/wire-value.js';
import type { Clock } from '../ports/clock.js';
import type { Entropy } from '../ports/entropy.js';
import type { EngineLogger, LogSubject } from '../ports/logger.js';

/** What a client may learn of an error (G25): unless it is a `RealtimeError`, only the id under which it is logged. */
export function toClientError(
  error: unknown,
  about: LogSubject,
  { entropy, logger }: { readonly entropy: Entropy; readonly logger: EngineLogger },
): RealtimeError {
  if (error instanceof RealtimeError) return error;
  const id = entropy.id();
  logger.error(`Error ${id} on connection ${about.connection}`, error, about);
  return new RealtimeError('internal', `Internal error ${id}`, { cause: error });
}

/** The `error` answer to a command, or to none. */
export function errorEnvelope(ref: string | undefined, error: RealtimeError, clock: Clock): Envelope {
  const payload = toWireValue(errorBody(error), 'error');
  return { type: 'error', ts: clock.now(), payload, ...(ref === undefined ? {} : { ref }) };
}

/** What the answer to a command refers to; nothing answers a `pong`. */
export function idOf(command: ClientCommand): string | undefined {
  return command.type === 'pong' ? undefined : command.id;
}
