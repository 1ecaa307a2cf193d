import type { WireVariant } from '../../core/ports/connection.js';
import type { Envelope } from '../../protocol/envelope.js';

/** What a carrier notifies its session of. */
export interface CarrierEvents {
  /** It can take more bytes. */
  onDrain(): void;
  /** The client is gone. */
  onGone(): void;
  /**
   * What was given to the client is to be given again.
   *
   * @param isRefusable whether it may have to wait for what it owes.
   * @returns milliseconds that it has to wait; 0 where it may have it, and is charged.
   */
  onRepeat(bytes: number, isRefusable: boolean): number;
  /** No poll came in time. */
  onSilent(): void;
  /** What was written cannot be sent any more, so that the client has to resume. */
  onLost(): void;
}

/** How the messages of a session get to its client: by a stream, or by the answers to its polls. */
export interface Carrier {
  readonly variant: WireVariant;
  /** Whether the engine may ask for a `pong`: a poll is a sign of life by itself. */
  readonly pings: boolean;
  /** As in {@link Connection.copiesFrames}. */
  readonly copiesFrames: boolean;
  /** Bytes of written frames that have not left the process, or that the client may ask for again. */
  readonly bufferedBytes: number;
  /** The session begins. */
  begin(session: CarrierEvents): void;
  /** As {@link Connection.write}. */
  write(frame: Buffer): boolean;
  /** Whether it has, of what it may still give, an event with one of these numbers. */
  mayHold(seqs: readonly number[]): boolean;
  /** What was written must not be given again, for now or for ever. */
  withdraw(): void;
  /**
   * Ends it, with this message behind everything that was written.
   *
   * @param code as in protocol §7.
   * @returns the answer to a poll that comes yet, by its number.
   */
  end(last: Envelope, code: number): LastAnswer | undefined;
  /** Ends it at once. */
  destroy(): void;
}

/** The answer that no poll was there for. */
export interface LastAnswer {
  /** Of the poll that it belongs to: the number of the answer before it. */
  readonly acknowledged: number;
  readonly body: readonly Buffer[];
}
