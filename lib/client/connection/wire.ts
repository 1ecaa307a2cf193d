import type { Envelope } from '../../protocol/envelope.js';
import type { AnnouncedLimits } from '../../protocol/limits.js';

/** A connection that said `hello` and waits for `welcome`; the server keeps what it is sent meanwhile (P3). */
export interface EarlyWire {
  /**
   * Queues one envelope for the frame of `hello`.
   *
   * @returns `false` when the server may not take it; from then on it takes none, so that the order is kept.
   */
  take(envelope: Envelope): boolean;
}

/** A welcomed connection, as those see it who send commands on it. */
export interface Wire {
  /** False once the server said `bye`: what is sent now may never be read. */
  readonly accepting: boolean;
  readonly limits: AnnouncedLimits;
  /**
   * Queues one envelope for the frame of this turn (P4).
   *
   * @throws RealtimeError `message_too_large` or `bad_request`; nothing is sent then.
   */
  send(envelope: Envelope): void;
}
