import type { AnswerFate } from './answer.js';

/** An answer that was handed over. */
interface Sent {
  readonly bytes: number;
  /** Ends its connection; there while its socket has it. */
  cut: (() => void) | undefined;
}

/**
 * The answers of one session that sockets hold: one at a time, and those before it only until their connections are closed. A client
 * that asks for the next, or again, has no use for what it has not read.
 */
export class AnswersInSockets {
  /** Of all that sockets hold. */
  bytes = 0;
  private last: Sent | undefined;

  /** @param onLeft called when the socket of an answer holds nothing of it any more. @param isLast whether no other one was handed over. */
  constructor(
    private readonly onSocket: () => void,
    private readonly onLeft: (isLast: boolean) => void,
  ) {}

  /** Whether that of {@link next} is in its socket. */
  get holdsLast(): boolean {
    return this.last?.cut !== undefined;
  }

  /** An answer is handed over, in the place of the one before it. */
  next(bytes: number): AnswerFate {
    this.cut();
    const sent: Sent = { bytes, cut: undefined };
    this.last = sent;
    return {
      begin: (cut) => {
        sent.cut = cut;
        this.bytes += bytes;
        if (this.last === sent) this.onSocket();
        else cut();
      },
      end: () => {
        if (sent.cut !== undefined) this.bytes -= bytes;
        sent.cut = undefined;
        this.onLeft(this.last === sent);
      },
    };
  }

  /** Ends the connection of the last one, where it has not left. */
  cut(): void {
    const { last } = this;
    this.last = undefined;
    last?.cut?.();
  }
}
