import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Envelope } from '../../protocol/envelope.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { Clock } from '../ports/clock.js';

/** When a client may ask again for what it has no room for, in milliseconds. */
const NO_ROOM_RETRY_MS = 1_000;

export interface AnswerSizesDeps {
  readonly settings: { readonly limits: { readonly maxAnswerBytes: number } };
  readonly notices: ThrottledLog;
  readonly clock: Clock;
}

/** Measures the answers that handlers of the application made, before they are queued for a client. */
export class AnswerSizes {
  constructor(private readonly deps: AnswerSizesDeps) {}

  /**
   * The bytes of a reply.
   *
   * @param handler that made the answer; left out where it is no handler's.
   * @throws RealtimeError as {@link require}.
   */
  encode(
    outbox: { encode(envelope: Envelope): Buffer },
    ref: string,
    payload: unknown,
    handler: string | undefined,
  ): Buffer {
    const bytes = outbox.encode({ type: 'reply', ref, ts: this.deps.clock.now(), payload });
    if (handler !== undefined) this.require(bytes.length, handler);
    return bytes;
  }

  /**
   * @param handler which one, in words that the application chose.
   * @throws RealtimeError `message_too_large` for more than `limits.maxAnswerBytes`; the log names the handler.
   */
  require(bytes: number, handler: string): void {
    const { settings, notices } = this.deps;
    const { maxAnswerBytes } = settings.limits;
    if (bytes <= maxAnswerBytes) return;
    notices.warn(
      `answer ${handler}`,
      () =>
        `What ${handler} returned is an answer of ${bytes} bytes; limits.maxAnswerBytes is ${maxAnswerBytes}. It was not sent. ` +
        'Return less, e.g. a page that the client can continue, or raise the limit.',
    );
    throw new RealtimeError(
      'message_too_large',
      `The answer is larger than ${maxAnswerBytes} bytes (limits.maxAnswerBytes of the server): ask for less`,
    );
  }
}

/**
 * Called before and after a read, which costs more than its command: a client that does not take what waits for it already gets
 * no more.
 *
 * @throws RealtimeError `rate_limited`
 */
export function requireRoom(outbox: { readonly isBehind: boolean }): void {
  if (outbox.isBehind) throw noRoom();
}

/** The error for a read whose answer finds no room in the outbox. */
export function noRoom(): RealtimeError {
  const message = 'More waits for this client than there is room for: read it, then ask again';
  return new RealtimeError('rate_limited', message, { retryAfterMs: NO_ROOM_RETRY_MS });
}
