import type { Envelope } from '../../protocol/envelope.js';

/**
 * Turns of the microtask queue for which messages are held: `await` takes one, and each `async` function that passes the promise
 * on one more, or three where the answer is there already. A task would wait for any number of them, but a hidden page may be given none for a second.
 */
const TURNS = 64;

/**
 * Holds the messages of a channel while code that awaits an answer has not run yet: what it does next, such as adding listeners,
 * comes before the first of them.
 */
export class AwaitGate {
  private held: Envelope[] | undefined;
  private turns = 0;

  constructor(private readonly receive: (envelope: Envelope) => void) {}

  /** A promise was settled: its awaiter runs first. */
  close(): void {
    this.held ??= [];
    const isRunning = this.turns > 0;
    this.turns = TURNS;
    if (!isRunning) this.turn();
  }

  /** @returns whether the message is held. */
  hold(envelope: Envelope): boolean {
    this.held?.push(envelope);
    return this.held !== undefined;
  }

  /** What is held is of a subscription that is over: a resume brings it again. */
  drop(): void {
    this.held = undefined;
  }

  private turn(): void {
    queueMicrotask(() => {
      if (--this.turns > 0) {
        this.turn();
        return;
      }
      const held = this.held ?? [];
      this.held = undefined;
      // Taking one may close the gate again, for those behind it.
      for (const envelope of held) this.receive(envelope);
    });
  }
}
