import type { Clock } from '../../../core/ports/clock.js';
import { apiCode, NO_MESSAGE } from '../errors.js';
import type { NatsLink } from '../link.js';

/** Answer of the server to a write that expects another one before it. */
const WRONG_LAST_SEQUENCE = [10_071, 10_164];

/** How far a stream was published, and who reads it. */
interface Stored {
  /** Empty: nobody. */
  readonly owner: string;
  /** Sequence of the last record that was dealt with. */
  readonly seq: number;
  /** Names this life of the stream. */
  readonly created: string;
}

/**
 * How far a stream was published, in a stream of positions: one message, which only who has read the one before it replaces. So a node
 * that was away for too long cannot set it back, and finds that it is the reader no longer.
 */
export class StreamPosition {
  /** Sequence of the message that was seen last; 0: there is none. */
  private revision = 0;
  private stored: Stored | undefined;
  /** Monotonic time since when the message is the same. */
  private sameSince: number;
  /** Monotonic time before the last write of this node that was stored. */
  private heldAt = -Infinity;
  /** Writes come one after the other. */
  private writing: Promise<boolean> = Promise.resolve(true);

  constructor(
    private readonly link: NatsLink,
    private readonly where: { readonly stream: string; readonly subject: string },
    private readonly owner: string,
    private readonly clock: Pick<Clock, 'monotonic'>,
    /** How long who reads may be silent before another node reads in its place, in milliseconds. */
    private readonly leaseMs: number,
  ) {
    this.sameSince = clock.monotonic();
  }

  /** Sequence of the last record that was dealt with, of this life of the stream; `undefined` where there is none. */
  seqOf(created: string): number | undefined {
    return this.stored?.created === created ? this.stored.seq : undefined;
  }

  /** Whether no other node can have found this one silent for too long. */
  isHeld(): boolean {
    return this.clock.monotonic() - this.heldAt <= this.leaseMs;
  }

  /** Looks who reads. @returns whether this node may try to */
  async look(): Promise<boolean> {
    const message = await this.read();
    const [seq, stored] = message ?? [0, undefined];
    const now = this.clock.monotonic();
    if (seq !== this.revision) this.sameSince = now;
    this.revision = seq;
    this.stored = stored;
    return (
      stored === undefined || ['', this.owner].includes(stored.owner) || now - this.sameSince > this.leaseMs
    );
  }

  /** Stores that this node reads, and how far it is. @returns `false` when another one reads */
  write(seq: number, created: string, owner = this.owner): Promise<boolean> {
    const next = this.writing.then((isMine) => isMine && this.replace({ owner, seq, created }));
    // Who waits for one that failed gets its error; what comes behind it does not.
    this.writing = next.catch(() => false);
    return next;
  }

  /** Stores that nobody reads. Never rejects. */
  async release(seq: number, created: string): Promise<void> {
    await this.write(seq, created, '').catch(() => undefined);
  }

  private async replace(stored: Stored): Promise<boolean> {
    const { stream, subject } = this.where;
    const asked = this.clock.monotonic();
    const expect = { streamName: stream, lastSubjectSequence: this.revision };
    try {
      const { seq } = await this.link.ask(() =>
        this.link.js.publish(subject, JSON.stringify(stored), { expect }),
      );
      this.revision = seq;
      this.stored = stored;
      this.heldAt = asked;
      return true;
    } catch (error) {
      if (WRONG_LAST_SEQUENCE.includes(apiCode(error) ?? 0)) return false;
      throw error;
    }
  }

  private async read(): Promise<readonly [number, Stored] | undefined> {
    const { stream, subject } = this.where;
    try {
      const message = await this.link.ask(() =>
        this.link.jsm.streams.getMessage(stream, { last_by_subj: subject }),
      );
      if (message === null) return undefined;
      const { created, owner, seq } = message.json<Partial<Stored>>();
      return [message.seq, { owner: String(owner), seq: Number(seq), created: String(created) }];
    } catch (error) {
      if (apiCode(error) === NO_MESSAGE) return undefined;
      throw error;
    }
  }
}
