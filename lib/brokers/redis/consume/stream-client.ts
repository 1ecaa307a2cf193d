import { withTimeout } from '../../../core/async/with-timeout.js';
import type { Clock } from '../../../core/ports/clock.js';
import { isNoScript } from '../errors.js';
import type { RedisScript } from '../scripts/script.js';
import type { RedisClient, RedisTarget } from '../connection/target.js';

/** How long the server may wait for an entry, in milliseconds. */
const BLOCK_MS = 1_000;

/** Connections for the streams of one session: one for commands, and one for each wait, as that holds up what is behind it. */
export class StreamClient {
  private readonly clients: RedisClient[] = [];
  private main: RedisClient | undefined;
  private isClosed = false;
  /** Whether the connection for commands has closed. */
  isLost = false;

  constructor(
    private readonly target: RedisTarget,
    private readonly clock: Clock,
    private readonly timeoutMs: number,
  ) {}

  /**
   * @param onLost called when the connection for commands has closed: what is not acknowledged is to be read from the beginning.
   * @throws Error when the server cannot be reached
   */
  async connect(onLost: () => void): Promise<void> {
    this.main = await this.open('consumer');
    // ioredis connects once more by itself, perhaps to a server that lacks the last acknowledgements.
    this.main.once('close', () => {
      this.isLost = true;
      onLost();
    });
  }

  /** Makes the group, and the stream where there is none. */
  async makeGroup(key: string, group: string, from: string): Promise<void> {
    try {
      await this.within(this.commands.xgroup('CREATE', key, group, from, 'MKSTREAM'));
    } catch (error) {
      if (!String((error as Error).message).startsWith('BUSYGROUP')) throw error;
    }
  }

  async run(
    script: RedisScript,
    keys: readonly [string, string],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    try {
      return await this.within(this.commands.evalsha(script.sha, 2, ...keys, ...args));
    } catch (error) {
      if (!isNoScript(error)) throw error;
      return this.within(this.commands.eval(script.text, 2, ...keys, ...args));
    }
  }

  /** A connection of its own, on which the server waits for entries. */
  async waiter(): Promise<StreamWait> {
    const client = await this.open('consumer-wait');
    return {
      entryBehind: async (key, id) => {
        const question = client.xread('COUNT', 1, 'BLOCK', BLOCK_MS, 'STREAMS', key, id);
        await this.within(question, BLOCK_MS + this.timeoutMs);
      },
      end: () => client.disconnect(),
    };
  }

  /** Ends all connections; what is under way fails. */
  close(): void {
    this.isClosed = true;
    for (const client of this.clients) client.disconnect();
  }

  private get commands(): RedisClient {
    if (this.main === undefined) throw new Error('The session has not begun');
    return this.main;
  }

  private async open(name: string): Promise<RedisClient> {
    if (this.isClosed) throw new Error('The session has ended');
    const client = this.target.create(name);
    this.clients.push(client);
    await this.within(client.connect());
    return client;
  }

  private async within<T>(answer: Promise<T>, ms = this.timeoutMs): Promise<T> {
    return withTimeout(answer, ms, this.clock, `${this.target.where} did not answer within ${ms} ms`);
  }
}

/** Waits for entries. */
export interface StreamWait {
  /** Until there is an entry behind an id, or for a moment. */
  entryBehind(key: string, id: string): Promise<void>;
  /** Ends the connection; who waits on it gets an error. Idempotent. */
  end(): void;
}
