import type { Cluster, Command, Redis } from 'ioredis';
import { withTimeout } from '../../../core/async/with-timeout.js';
import type { Scheduled } from '../../../core/ports/clock.js';
import { RealtimeError } from '../../../protocol/realtime-error.js';
import type { Refusals } from '../refusals.js';
import { bootError, commandError, isNoScript, messageOf, notRunning, unavailable } from '../errors.js';
import type { RedisKeys } from '../keys.js';
import type { RedisSettings } from '../settings.js';
import type { RedisScript } from '../scripts/script.js';
import { answerWithin, disconnectOnce, Reconnector } from './liveness.js';
import { QueueBound, tooMany } from './queue-bound.js';
import { ReadWindow } from './read-window.js';
import { ReplicaAcks } from './replica-acks.js';
import { ServerIdentity } from './server-identity.js';
import { endSlotsTimer, isCluster, type RedisClient, type RedisTarget } from './target.js';

export type RedisArgument = string | number | Buffer;

/**
 * A script with its keys, which are all of one partition, or there is no Cluster. `evenRefused`: whether it is sent although
 * there is a `refusal`, to ask whether the reason still holds.
 */
export type ScriptCall = [
  script: RedisScript,
  partition: number,
  keys: readonly string[],
  args: readonly RedisArgument[],
  evenRefused?: boolean,
];

/** Bytes of arguments as they are sent, without the few that separate them. */
export function bytesOf(args: readonly RedisArgument[]): number {
  return args.reduce<number>((sum, arg) => sum + (typeof arg === 'number' ? 8 : Buffer.byteLength(arg)), 0);
}

function bytesOfCall([, , keys, args]: ScriptCall): number {
  return bytesOf(keys) + bytesOf(args);
}

/** Part of what may wait that reads may fill: heartbeats, control records and presence never find all places taken by them. */
const READS_PART = 1 / 2;
const SINGLE = 'main';
/** For clients. */
const UNUSABLE = 'The broker cannot be used at this moment';
/** In the server's words; ioredis waits until it is over and does not say it. */
const LOADING = 'LOADING Redis is loading the dataset in memory';
const CREDENTIALS = /WRONGPASS|NOAUTH|NOPERM|invalid password|invalid username/i;

/** The connection for commands, or in a Cluster those to its masters. */
export class RedisCommands {
  readonly clustered: boolean;
  /** Whether it was connected, and not closed since. */
  running = false;
  /** Why nothing may be sent although there is a connection. */
  refusal: string | undefined;
  /** Made by `connect`. */
  private made: RedisClient | undefined;
  private reconnector: Reconnector | undefined;
  /** Which server the connection leads to; not in a Cluster. */
  identity: ServerIdentity | undefined;
  /** Servers that did not answer a command in time, and have not answered since. */
  private readonly stalled = new Set<string>();
  private readonly pinging = new Set<string>();
  /** Commands that were sent and not answered. */
  private pending = 0;
  /** Commands that wait, without appends, which have a bound of their own. */
  private readonly queued: QueueBound;
  /** Reads among them. */
  private readonly reads: QueueBound;
  /** Reads, by server. */
  private readonly windows = new Map<string, ReadWindow>();
  /** Answers that did not come in time, by the error that says so. */
  private readonly late = new WeakMap<Error, Promise<unknown>>();
  private lastError = '';
  private timer: Scheduled | undefined;
  private readonly acks = new ReplicaAcks<Redis>((node) => this.askReplicas(node));
  /** Called when a server refuses the credentials. */
  private onRefused: ((error: Error) => void) | undefined;

  constructor(
    private readonly target: RedisTarget,
    private readonly settings: RedisSettings,
    private readonly keys: RedisKeys,
    private readonly name: string,
    private readonly onChange: () => void,
    /**
     * Whether commands go straight to the server of their partition and are refused instead of redirected: only then does
     * `waitForReplicas` ask the server that wrote.
     */
    private readonly direct = false,
    /** Is told of what a server refuses. */
    private readonly refusals?: Refusals,
  ) {
    const { maxQueued, maxQueuedBytes } = settings;
    this.queued = new QueueBound(maxQueued, maxQueuedBytes);
    this.reads = new QueueBound(maxQueued * READS_PART, maxQueuedBytes * READS_PART);
    this.clustered = target.clustered;
  }

  /** Why not every command can be sent now. */
  get trouble(): string | undefined {
    if (this.refusal !== undefined) return this.refusal;
    if (this.made?.status !== 'ready')
      return `there is no connection to ${this.target.where}${this.lastError === '' ? '' : `: ${this.lastError}`}`;
    if (this.stalled.size > 0) return `${this.target.where} does not answer`;
    return undefined;
  }

  get cluster(): Cluster | undefined {
    return this.made !== undefined && isCluster(this.made) ? this.made : undefined;
  }

  /** Number of the database. */
  get db(): number {
    return isCluster(this.client) ? 0 : (this.client.options.db ?? 0);
  }

  private get client(): RedisClient {
    if (this.made === undefined) throw notRunning();
    return this.made;
  }

  /**
   * The target must be loaded.
   *
   * @throws Error that names the address and the remedy, when Redis cannot be reached in time.
   */
  async connect(): Promise<void> {
    const { clock, connectTimeoutMs } = this.settings;
    const client = this.make();
    this.running = true;
    client.connect().catch(() => undefined);
    const ready = new Promise<void>((resolve, reject) => {
      client.once('ready', resolve);
      this.onRefused = reject;
    });
    try {
      await withTimeout(ready, connectTimeoutMs, clock);
    } catch (error) {
      const why = this.lastError === '' ? '' : ` (${this.lastError})`;
      const remedy =
        error instanceof RealtimeError
          ? 'Check that it runs and may be reached from here, or give a longer `connectTimeoutMs`.'
          : 'Check `username` and `password`.';
      throw bootError(`cannot reach ${this.target.where}${why}`, remedy);
    }
    this.watch();
  }

  /**
   * Runs a script, and loads it where the server does not know it.
   *
   * @throws RealtimeError `unavailable` or `timeout`.
   */
  run(...call: ScriptCall): Promise<unknown> {
    return this.bounded(bytesOfCall(call), () => this.perform(call));
  }

  /**
   * Like `run`, for scripts with large answers: waits until few enough of them are under way on the connection. No more wait than
   * half of what may.
   */
  read(...call: ScriptCall): Promise<unknown> {
    const bytes = bytesOfCall(call);
    return this.reads.run(bytes, () => this.bounded(bytes, () => this.readInWindow(call)));
  }

  /** A server that does not answer is asked no more. */
  private async readInWindow(call: ScriptCall): Promise<unknown> {
    const server = this.serverOf(call[1]);
    if (this.stalled.has(server)) throw this.unusable();
    const window =
      this.windows.get(server) ?? new ReadWindow(this.settings.clock, () => this.windows.delete(server));
    this.windows.set(server, window);
    return await window.run(
      () => this.perform(call),
      (error) => this.late.get(error as Error),
    );
  }

  /**
   * Like `run`, but in the given form and without loading, for callers that must keep an order.
   *
   * @throws The error as ioredis gives it.
   */
  eval(
    form: 'sha' | 'text',
    ...[script, partition, keys, args, evenRefused = false]: ScriptCall
  ): Promise<unknown> {
    const name = form === 'sha' ? 'evalsha' : 'eval';
    const seen = script.identifies ? this.settings.server.args : [];
    return this.send(partition, name, [script[form], keys.length, ...keys, ...args, ...seen], evenRefused);
  }

  /** One command whose keys lie in a partition. */
  command(partition: number, name: string, args: readonly RedisArgument[]): Promise<unknown> {
    return this.bounded(bytesOf(args), () => this.send(partition, name, args));
  }

  /**
   * Waits until replicas have what was just written to the partition's server. To be called right after the write.
   *
   * @returns How many replicas have it; 0 when that cannot be known.
   */
  async waitForReplicas(partition: number): Promise<number> {
    const node = this.nodeOf(partition);
    return node === undefined ? 0 : await this.acks.wait(node);
  }

  /** Text of `INFO` of some server. */
  async info(): Promise<string> {
    const client = this.cluster?.nodes('master')[0] ?? this.client;
    return client.info();
  }

  /** What some server refuses, in its words; `undefined` while none does. */
  get refusedAs(): string | undefined {
    return this.refusals?.current;
  }

  /** Whether the server of the partition refuses what is written to it, as a heartbeat found; `undefined` when it does not. */
  noteRefusal(partition: number, text: string | undefined): void {
    this.refusals?.set(this.serverOf(partition), text);
  }

  close(): void {
    const { made } = this;
    this.running = false;
    this.timer?.cancel();
    made?.disconnect();
    if (made !== undefined && isCluster(made)) endSlotsTimer(made);
  }

  private make(): RedisClient {
    const client = this.target.create(this.name);
    this.made = client;
    this.reconnector = new Reconnector(client, this.settings);
    if (!isCluster(client)) this.identity = new ServerIdentity(client, this.settings);
    const onError = (error: Error) => {
      this.lastError = messageOf(error);
      this.refusals?.note(SINGLE, error);
      if (CREDENTIALS.test(this.lastError)) this.onRefused?.(error);
    };
    client.on('error', onError);
    client.on('node error', onError);
    client.on('ready', () => {
      void this.identity?.ask();
      this.changed();
    });
    client.on('close', () => this.changed());
    client.on('end', () => this.changed());
    return client;
  }

  /**
   * Runs what sends a command, unless too much waits already.
   *
   * @throws RealtimeError `unavailable` or `timeout`.
   */
  private async bounded(bytes: number, send: () => Promise<unknown>): Promise<unknown> {
    try {
      return await this.queued.run(bytes, send);
    } catch (error) {
      throw commandError(error);
    }
  }

  /** Runs a script, and loads it where the server does not know it. */
  private async perform(call: ScriptCall): Promise<unknown> {
    try {
      return await this.eval('sha', ...call);
    } catch (error) {
      if (!isNoScript(error)) throw error;
      return await this.eval('text', ...call);
    }
  }

  private send(
    partition: number,
    name: string,
    args: readonly RedisArgument[],
    evenRefused = false,
  ): Promise<unknown> {
    const server = this.serverOf(partition);
    if (!this.running) return Promise.reject(notRunning());
    if (this.refusal !== undefined && !evenRefused)
      return Promise.reject(unavailable(UNUSABLE, this.refusal));
    if (this.client.status !== 'ready' || this.stalled.has(server)) return Promise.reject(this.unusable());
    if (this.pending >= this.settings.maxQueued)
      return Promise.reject(unavailable(tooMany(this.pending, 'maxQueued')));
    const client = this.direct ? this.nodeOf(partition) : this.client;
    if (client === undefined)
      return Promise.reject(
        unavailable('The Cluster has not said yet which server holds the partition of this channel'),
      );
    const sent = args.map((arg) => (typeof arg === 'number' ? String(arg) : arg));
    const command = this.target.commandOf(name, sent);
    const answer = this.answer(server, client, command);
    return this.direct && this.clustered ? this.refreshed(answer) : answer;
  }

  private unusable(): RealtimeError {
    return unavailable(UNUSABLE, `Redis cannot be used: ${this.trouble ?? 'it does not answer'}`);
  }

  /** How much longer a command may wait: behind a `WAIT` Redis handles nothing on that connection before it is answered. */
  private get waitMs(): number {
    return this.direct ? (this.settings.replicated?.timeoutMs ?? 0) : 0;
  }

  private async askReplicas(node: Redis): Promise<number> {
    const replicas = this.settings.replicated?.replicas ?? 0;
    const command = this.target.commandOf('wait', [String(replicas), String(this.waitMs)]);
    return Number(await this.answer(this.nameOf(node), node, command));
  }

  private async refreshed(answer: Promise<unknown>): Promise<unknown> {
    try {
      return await answer;
    } catch (error) {
      if (!isNoScript(error)) this.cluster?.refreshSlotsCache();
      throw error;
    }
  }

  /** Sends a command and waits for its answer. A server that does not answer in time is stalled until it answers something. */
  private async answer(server: string, client: RedisClient, command: Command): Promise<unknown> {
    const { clock, commandTimeoutMs } = this.settings;
    const answer = client.sendCommand(command) as Promise<unknown>;
    this.pending += 1;
    answer.then(
      () => {
        this.pending -= 1;
        this.revive(server);
      },
      () => (this.pending -= 1),
    );
    try {
      return await answerWithin(answer, commandTimeoutMs + this.waitMs, clock);
    } catch (error) {
      this.refusals?.note(server, error);
      if (error instanceof RealtimeError) {
        this.late.set(error, answer);
        this.stall(server);
      }
      throw error;
    }
  }

  private serverOf(partition: number): string {
    return this.cluster?.slots[this.keys.slotOf(partition)]?.[0] ?? SINGLE;
  }

  private nameOf({ options }: Redis): string {
    return this.clustered ? `${options.host ?? ''}:${options.port ?? ''}` : SINGLE;
  }

  private nodeOf(partition: number): Redis | undefined {
    const { client } = this;
    if (!isCluster(client)) return client;
    const server = this.serverOf(partition);
    return client.nodes('master').find((node) => this.nameOf(node) === server);
  }

  private stall(server: string): void {
    if (this.stalled.has(server)) return;
    this.stalled.add(server);
    this.windows.get(server)?.refuseWaiting(this.unusable());
    this.changed();
  }

  private revive(server: string): void {
    if (this.stalled.delete(server)) this.changed();
  }

  private changed(): void {
    if (this.client.status !== 'ready' && !this.clustered) this.stalled.clear();
    if (this.running) this.onChange();
  }

  /** Pings every server, and ends connections on which nothing comes back. */
  private watch(): void {
    const { clock, heartbeatMs } = this.settings;
    if (this.reconnector?.looksLoading() === true) this.refusals?.set(SINGLE, LOADING);
    if (this.client.status === 'ready') {
      const nodes = isCluster(this.client) ? this.client.nodes('master') : [this.client];
      const known = new Set(nodes.map((node) => this.nameOf(node)));
      for (const server of [...this.stalled]) if (!known.has(server)) this.revive(server);
      for (const node of nodes) this.ping(node);
    } else {
      this.reconnector?.check();
    }
    this.timer = clock.schedule(heartbeatMs, () => this.watch());
  }

  private ping(node: Redis): void {
    const server = this.nameOf(node);
    if (this.pinging.has(server) || node.status !== 'ready') return;
    this.pinging.add(server);
    this.answer(server, node, this.target.commandOf('ping', []))
      .catch((error: unknown) => {
        if (!this.running || commandError(error).code !== 'timeout' || node.status !== 'ready') return;
        disconnectOnce(node, !this.clustered);
        this.cluster?.refreshSlotsCache();
      })
      .finally(() => this.pinging.delete(server));
  }
}
