import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ThrottledLog } from '../async/throttled-log.js';

export interface AnswerSizesDeps {
  readonly settings: { readonly limits: { readonly maxAnswerBytes: number } };
  readonly notices: ThrottledLog;
}

/** Measures the answers that handlers of the application made, before they are queued for a client. */
export class AnswerSizes {
  constructor(private readonly deps: AnswerSizesDeps) {}

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
