import { withTimeout } from '../../../core/async/with-timeout.js';
import type { Clock } from '../../../core/ports/clock.js';
import { isNoScript, messageOf } from '../errors.js';
import type { RedisScript } from '../scripts/script.js';
import type { RedisClient, RedisTarget } from '../connection/target.js';

/** How long the server may wait for an entry, in milliseconds. */
const BLOCK_MS = 1_000;

/** How ioredis says that there is no connection. */
const LOST = /^Connection is closed|enableOfflineQueue|ECONNRESET|EPIPE/;

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
   * @throws Error when the server cannot be reached: where it is, why, and what to do
   */
  async connect(onLost: () => void): Promise<void> {
    this.main = await this.open('consumer');
    // ioredis connects once more by itself, perhaps to a server that lacks the last acknowledgements.
    this.main.once('close', () => {
      this.isLost = true;
      onLost();
    });
  }

  async run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    try {
      return await this.within(this.commands.evalsha(script.sha, keys.length, ...keys, ...args));
    } catch (error) {
      if (!isNoScript(error)) throw this.explained(error, ...keys);
    }
    try {
      return await this.within(this.commands.eval(script.text, keys.length, ...keys, ...args));
    } catch (error) {
      throw this.explained(error, ...keys);
    }
  }

  /** A connection of its own, on which the server waits for entries. */
  async waiter(): Promise<StreamWait> {
    const client = await this.open('consumer-wait');
    return {
      entryBehind: async (key, id) => {
        const question = client.xread('COUNT', 1, 'BLOCK', BLOCK_MS, 'STREAMS', key, id);
        try {
          await this.within(question, BLOCK_MS + this.timeoutMs);
        } catch (error) {
          throw this.explained(error, key);
        }
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
    let cause: string | undefined;
    // The error of `connect` says no more than that the connection was closed.
    const note = (error: Error): void => void (cause = causeOf(error));
    client.on('error', note);
    try {
      await this.within(client.connect());
    } catch (error) {
      throw new Error(
        `cannot reach ${this.target.where} (${cause ?? messageOf(error)}). Check that it runs, and the address, user and password`,
      );
    } finally {
      client.off('error', note);
    }
    return client;
  }

  /** What an error of a command says to operators: which keys, which server, and what to do. */
  private explained(error: unknown, ...keys: readonly string[]): unknown {
    const message = messageOf(error).replace(/ script: \w+, on .*$/, '');
    const { where } = this.target;
    const [stream = '', lease = stream] = keys;
    if (message.includes('WRONGTYPE'))
      return new Error(`"${stream}" at ${where} has another type (${message}). Name a stream`);
    if (/NOPERM|ACL failure/i.test(message))
      return new Error(
        `${where} does not allow a command on "${stream}" or "${lease}" (${message}). Allow what docs/consumers.md lists`,
      );
    if (LOST.test(message)) return new Error(`the connection to ${where} was lost (${message})`);
    return error;
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

/** Why a connection failed. Errors of several addresses have no message, and those of a Cluster hide that of a node. */
function causeOf(error: Error & { readonly code?: string; readonly lastNodeError?: Error }): string {
  const said = messageOf(error.lastNodeError ?? error).replace(/^Error: /, '');
  return said === '' ? String(error.code) : said;
}
