import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Clock } from '../ports/clock.js';
import type { EngineLogger } from '../ports/logger.js';

/** Shortest time between two reports of one handler, in milliseconds. */
const REPORT_EVERY_MS = 60_000;

export interface AnswerSizesDeps {
  readonly settings: { readonly limits: { readonly maxAnswerBytes: number } };
  readonly clock: Clock;
  readonly logger: EngineLogger;
}

/** Measures the answers that handlers of the application made, before they are queued for a client. */
export class AnswerSizes {
  /** When each handler was reported last. There are as many as the application declares. */
  private readonly reportedAt = new Map<string, number>();

  constructor(private readonly deps: AnswerSizesDeps) {}

  /**
   * @param handler which one, in words that the application chose.
   * @throws RealtimeError `message_too_large` for more than `limits.maxAnswerBytes`; the log names the handler.
   */
  require(bytes: number, handler: string): void {
    const { settings, clock, logger } = this.deps;
    const { maxAnswerBytes } = settings.limits;
    if (bytes <= maxAnswerBytes) return;
    const now = clock.monotonic();
    if (now - (this.reportedAt.get(handler) ?? -Infinity) >= REPORT_EVERY_MS) {
      this.reportedAt.set(handler, now);
      logger.error(
        `What ${handler} returned is an answer of ${bytes} bytes; limits.maxAnswerBytes is ${maxAnswerBytes}. It was not sent. ` +
          'Return less, e.g. a page that the client can continue, or raise the limit.',
      );
    }
    throw new RealtimeError(
      'message_too_large',
      `The answer is larger than ${maxAnswerBytes} bytes (limits.maxAnswerBytes of the server): ask for less`,
    );
  }
}
