import { SeededEntropy } from '../engine/seeded-entropy.js';
import { elapse, stretched } from '../patience.js';
import { ChannelFollower } from '../wire/channel-follower.js';
import { envelopesIn, HttpExchange, numberOf, type ExchangeOptions } from '../wire/http-exchange.js';
import { readReply, type HttpReply, type Post } from '../wire/http-post.js';
import { SseSessionClient, type HttpPlace } from '../wire/http-session-client.js';
import type { WireEnvelope } from '../wire/session-client.js';
import type { SubscribeResult } from '../../../lib/protocol/messages.js';

/** A command that must run once. */
export interface ScheduledCommand {
  readonly type: 'publish' | 'request';
  readonly id: string;
}

/** What goes wrong with a body on its way. */
const SEND_FAULTS = [
  'none',
  'none',
  'none',
  'cut',
  'cancelled',
  'together',
  'slow',
  'again',
  'late',
] as const;
/** What goes wrong with a poll. */
const POLL_FAULTS = ['none', 'none', 'none', 'none', 'cancelled', 'together', 'again', 'away'] as const;

/** Failures of the network that a client takes before it begins again elsewhere. */
const PATIENT = 4;
/** A command in bodies that must not run. */
export const NEVER = 'never';

/** One session while it lasts. */
interface Life {
  readonly exchange: HttpExchange;
  lost: boolean;
  poll: Post | undefined;
  readonly stream: SseSessionClient | undefined;
}

/**
 * A client of HTTP sessions that keeps to the protocol (P21), over a network that does what its seed says: bodies and answers are
 * cut, come twice, together or late. It comes back with its ticket and its position wherever a node lives. Whatever the server
 * does that it may not is kept in {@link failure}.
 */
export class ScheduledClient {
  readonly follower: ChannelFollower;
  readonly answers = new Map<string, WireEnvelope>();
  /** Requests whose session ended before their answer: they ran once or never. */
  readonly unknown = new Set<string>();
  /** How often each fault was tried. */
  readonly faults = new Map<string, number>();
  failure: Error | undefined;
  /** Sessions that it had. */
  sessions = 0;
  private ticket: string | undefined;
  private queue: ScheduledCommand[];
  /** Sent, and not answered. */
  private underWay: ScheduledCommand[] = [];
  /** Pings of the server that it has not answered. */
  private pings: string[] = [];
  private stopping = false;
  private current: Life | undefined;
  private readonly random: SeededEntropy;

  /** @param places of the nodes that live now. @param kind of its sessions. */
  constructor(
    readonly name: string,
    private readonly room: string,
    private readonly places: () => readonly HttpPlace[],
    readonly commands: readonly ScheduledCommand[],
    seed: number,
    private readonly kind: 'sse' | 'polling',
  ) {
    this.follower = new ChannelFollower(room);
    this.queue = [...commands];
    this.random = new SeededEntropy(seed);
  }

  /** Whether every command is answered, or can never be. */
  get isDone(): boolean {
    return this.queue.length === 0 && this.underWay.length === 0;
  }

  /** Lives until {@link stop} is called, or the server breaks a promise. */
  async run(): Promise<void> {
    try {
      while (!this.stopping) {
        const life = await this.begin();
        this.current = life;
        if (life === undefined) continue;
        await Promise.all([
          this.send(life),
          life.stream === undefined ? this.poll(life) : this.read(life, life.stream),
        ]);
        life.stream?.terminate();
        this.afterLoss();
      }
    } catch (error) {
      this.failure = error as Error;
    }
  }

  stop(): void {
    this.stopping = true;
    this.current?.stream?.terminate();
  }

  private async begin(): Promise<Life | undefined> {
    const place = this.random.pick(this.places());
    const { position } = this.follower;
    const subscribe = {
      type: 'subscribe',
      id: 'subscribe',
      channel: this.room,
      payload: position === undefined ? {} : { position },
    };
    const hello = { token: this.name, ...(this.ticket === undefined ? {} : { session: this.ticket }) };
    const stream = this.kind === 'sse' ? new SseSessionClient(place, { answersPings: false }) : undefined;
    let exchange: HttpExchange;
    try {
      if (stream === undefined) exchange = await HttpExchange.open(place, hello, [subscribe]);
      else {
        stream.sendAll([{ type: 'hello', id: 'h', payload: { versions: [1], ...hello } }, subscribe]);
        const { connection, session } = (await stream.next('welcome')).payload;
        exchange = HttpExchange.beside(place, String(connection), String(session));
      }
    } catch {
      // Refused, or the node is gone.
      await pause();
      return undefined;
    }
    this.sessions++;
    this.ticket = exchange.ticket;
    if (stream === undefined) this.take(envelopesIn(exchange.opening));
    return { exchange, lost: false, poll: undefined, stream };
  }

  private afterLoss(): void {
    this.follower.stop();
    this.pings = [];
    for (const command of this.underWay.splice(0).reverse())
      if (command.type === 'request') this.unknown.add(command.id);
      else this.queue.unshift(command);
  }

  private async send(life: Life): Promise<void> {
    for (let number = 1; !life.lost && !this.stopping;) {
      if (this.queue.length + this.pings.length === 0) {
        await pause();
        continue;
      }
      const batch = this.queue.splice(0, 1 + this.random.int(3));
      this.underWay.push(...batch);
      const pongs = this.pings.splice(0).map((ref) => ({ type: 'pong', ref }));
      const body = JSON.stringify([...pongs, ...batch.map((command) => this.envelopeOf(command))]);
      await this.deliver(life, number++, body);
      if (this.random.int(4) === 0) await pause();
    }
  }

  /** One body, until the server says that it has it. */
  private async deliver(life: Life, number: number, body: string): Promise<void> {
    const { exchange } = life;
    const fault = this.fault(SEND_FAULTS);
    if (fault === 'cut')
      await quietly(exchange.beginSend(number, body, this.by({ cutAfter: this.random.int(body.length) })));
    if (fault === 'cancelled') await this.cancelled(exchange.beginSend(number, body, this.by()));
    const others: Promise<HttpReply | undefined>[] =
      fault === 'together' ? [1, 2].map(() => quietly(exchange.beginSend(number, body, this.by()))) : [];
    const slow =
      fault === 'slow'
        ? exchange.beginSend(number, body, this.by({ sends: this.random.int(body.length) }))
        : undefined;
    const taken = await this.until(life, () => exchange.beginSend(number, body, this.by()), [202]);
    slow?.finish();
    if (slow !== undefined) others.push(quietly(slow));
    await Promise.all(others);
    if (taken === undefined) return;
    if (fault === 'again') await this.expect(life, number, [202, 410, 429, 503]);
    if (fault === 'late' && number > 1) await this.expect(life, number - 1, [409, 410, 429, 503]);
  }

  /** Sends what must not run under a number that is not the next. */
  private async expect({ exchange }: Life, number: number, allowed: readonly number[]): Promise<void> {
    const never = [{ type: 'request', id: NEVER, event: 'once', payload: NEVER }];
    const reply = await quietly(exchange.beginSend(number, never, this.by()));
    if (reply !== undefined && !allowed.includes(reply.status))
      throw new Error(`${this.name}: a body under the number ${number} again: ${reply.status} ${reply.body}`);
  }

  private async read(life: Life, stream: SseSessionClient): Promise<void> {
    while (!life.lost && !this.stopping) {
      const envelope = await stream.next().catch(() => undefined);
      if (envelope === undefined) break;
      if (envelope.type === 'ping') this.pings.push(envelope.id as string);
      else this.take([envelope]);
      if (this.random.int(64) === 0) break;
    }
    // Cut by either side: the server ends its session.
    life.lost = true;
    stream.terminate();
  }

  private async poll(life: Life): Promise<void> {
    const { exchange } = life;
    for (let last = 1; !life.lost && !this.stopping;) {
      const fault = this.fault(POLL_FAULTS);
      if (fault === 'away' && this.random.int(8) === 0) {
        life.lost = true;
        return;
      }
      if (fault === 'cancelled') await this.cancelled(exchange.beginPoll(last, this.by()));
      const other = fault === 'together' ? quietly(exchange.beginPoll(last, this.by())) : undefined;
      if (other !== undefined) await turns(this.random.int(3));
      const make = (): Post => (life.poll = exchange.beginPoll(last, this.by()));
      const reply = await this.until(life, make, [200, 204]);
      const [older] = await Promise.all([other]);
      // The newer one wins, and either may be the newer one at the server.
      const answer = reply?.status === 204 ? older : reply;
      if (answer === undefined || answer.status !== 200) continue;
      if (numberOf(answer) !== last + 1)
        throw new Error(`${this.name}: the answer ${numberOf(answer)} to a poll behind ${last}`);
      if (older?.status === 200 && older.body !== answer.body)
        throw new Error(`${this.name}: two answers with one number: ${older.body} and ${answer.body}`);
      if (fault === 'again') await this.again(life, last, answer);
      last++;
      this.take(envelopesIn(answer));
    }
  }

  /** Asks once more for an answer that is here. */
  private async again({ exchange }: Life, last: number, answer: HttpReply): Promise<void> {
    const repeat = await quietly(exchange.beginPoll(last, this.by()));
    if (repeat?.status === 200 && repeat.body !== answer.body)
      throw new Error(`${this.name}: the answer ${last + 1} again is another: ${repeat.body}`);
    if (repeat !== undefined && ![200, 410, 429, 503].includes(repeat.status))
      throw new Error(`${this.name}: the answer ${last + 1} again: ${repeat.status} ${repeat.body}`);
  }

  /** A request until it is answered so. @returns `undefined` where the session is lost. */
  private async until(
    life: Life,
    make: () => Post,
    wanted: readonly number[],
  ): Promise<HttpReply | undefined> {
    for (let failures = 0; !life.lost && !this.stopping;) {
      const reply = await quietly(make());
      if (reply === undefined) {
        if (++failures >= PATIENT) break;
        await pause();
      } else if (wanted.includes(reply.status)) return reply;
      else if (reply.status === 410) break;
      else if (reply.status === 429 || reply.status === 503) await pause(10);
      else throw new Error(`${this.name}: a client of the protocol got ${reply.status} ${reply.body}`);
    }
    life.lost = true;
    life.poll?.cancel();
    life.stream?.terminate();
    return undefined;
  }

  private async cancelled(post: Post): Promise<void> {
    await turns(this.random.int(8));
    post.cancel();
    await post.response.catch(() => undefined);
  }

  private take(envelopes: readonly WireEnvelope[]): void {
    for (const envelope of envelopes) {
      const { ref, type } = envelope;
      if (ref === 'subscribe') {
        if (type !== 'reply') throw new Error(`${this.name}: ${JSON.stringify(envelope)}`);
        this.follower.onAnswer(envelope.payload as unknown as SubscribeResult);
      } else if (ref !== undefined && ref !== 'h') this.answer(ref, envelope);
      else this.follower.onEnvelope(envelope);
    }
  }

  private answer(ref: string, envelope: WireEnvelope): void {
    const index = this.underWay.findIndex(({ id }) => id === ref);
    const [command] = index === -1 ? [] : this.underWay.splice(index, 1);
    if (command === undefined)
      throw new Error(`${this.name}: an answer to nothing: ${JSON.stringify(envelope)}`);
    // It did not run, or it is not known whether: a publish is made again with its id (P17).
    if (envelope.type === 'error' && command.type === 'publish' && envelope.payload['retryable'] === true)
      this.queue.push(command);
    else this.answers.set(ref, envelope);
  }

  private envelopeOf({ type, id }: ScheduledCommand): Record<string, unknown> {
    return type === 'publish'
      ? { type, id, channel: this.room, event: 'said', payload: id }
      : { type, id, event: 'once', payload: id };
  }

  private fault<T extends string>(faults: readonly T[]): T {
    const fault = this.random.pick(faults);
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
    return fault;
  }

  /** At the session's own node or at another one. */
  private by(options: ExchangeOptions = {}): ExchangeOptions {
    return { ...options, elsewhere: this.random.int(2) === 0 };
  }
}

/** The answer, or nothing where the network failed. */
async function quietly(post: Post): Promise<HttpReply | undefined> {
  try {
    return await readReply(await post.response);
  } catch {
    return undefined;
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

const pause = (ms = 2): Promise<void> => elapse(stretched(ms));
