import { Command, type Cluster, type Redis } from 'ioredis';
import type { Scheduled } from '../../../core/ports/clock.js';
import {
  bootError,
  commandError,
  isNoScript,
  messageOf,
  notRunning,
  unanswered,
  unavailable,
} from '../errors.js';
import type { RedisKeys } from '../keys.js';
import type { RedisSettings } from '../settings.js';
import type { RedisScript } from '../scripts/script.js';
import { answerBy } from './deadline.js';
import { giveUp } from './give-up.js';
import { ReplicaProofs } from './replica-acks.js';
import { endSlotsTimer, isCluster, type RedisClient, type RedisTarget } from './target.js';

export type RedisArgument = string | number;

const SINGLE = 'main';
const CREDENTIALS = /WRONGPASS|NOAUTH|NOPERM|invalid password|invalid username/i;

/** The connection for commands, or in a Cluster those to its masters. */
export class RedisCommands {
  readonly clustered: boolean;
  /** Why nothing may be sent although there is a connection. */
  refusal: string | undefined;
  private readonly client: RedisClient;
  /** Servers that let a command wait too long and have not answered since. */
  private readonly stalled = new Set<string>();
  private readonly pinging = new Set<string>();
  private pending = 0;
  private lastError = '';
  private timer: Scheduled | undefined;
  private connectedAt = 0;
  private running = false;
  private readonly proofs = new ReplicaProofs<Redis>((node) => this.wait(node));

  constructor(
    private readonly target: RedisTarget,
    private readonly settings: RedisSettings,
    private readonly keys: RedisKeys,
    name: string,
    private readonly onChange: () => void,
    /**
     * Whether commands go straight to the server of their partition and are refused instead of redirected: only so can
     * `proven` be sure to ask the server that wrote.
     */
    private readonly direct = false,
  ) {
    this.clustered = target.clustered;
    this.client = target.create(name);
    const note = (error: Error) => (this.lastError = messageOf(error));
    this.client.on('error', note);
    this.client.on('node error', note);
    this.client.on('connect', () => (this.connectedAt = settings.clock.monotonic()));
    this.client.on('ready', () => this.changed());
    this.client.on('close', () => this.changed());
    this.client.on('end', () => this.changed());
  }

  /** Whether it was connected, and not closed since. */
  get isRunning(): boolean {
    return this.running;
  }

  /** Why not every command can be sent now. */
  get trouble(): string | undefined {
    if (this.refusal !== undefined) return this.refusal;
    if (this.client.status !== 'ready')
      return `there is no connection to ${this.target.where}${this.lastError === '' ? '' : `: ${this.lastError}`}`;
    if (this.stalled.size > 0) return `${this.target.where} does not answer`;
    return undefined;
  }

  get cluster(): Cluster | undefined {
    return isCluster(this.client) ? this.client : undefined;
  }

  /** @throws Error that names the address and the remedy, when Redis cannot be reached in time. */
  async connect(): Promise<void> {
    const { clock, connectTimeoutMs } = this.settings;
    this.running = true;
    this.client.connect().catch(() => undefined);
    await new Promise<void>((resolve, reject) => {
      const timer = clock.schedule(connectTimeoutMs, () =>
        fail('Check that it runs and may be reached from here, or give a longer `connectTimeoutMs`.'),
      );
      const onError = (error: Error) => {
        if (CREDENTIALS.test(messageOf(error))) fail('Check `username` and `password`.');
      };
      const settle = () => {
        timer.cancel();
        this.client.off('ready', onReady);
        this.client.off('error', onError);
        this.client.off('node error', onError);
      };
      const onReady = () => {
        settle();
        resolve();
      };
      const fail = (remedy: string) => {
        settle();
        const why = this.lastError === '' ? '' : ` (${this.lastError})`;
        reject(bootError(`cannot reach ${this.target.where}${why}`, remedy));
      };
      this.client.on('ready', onReady);
      this.client.on('error', onError);
      this.client.on('node error', onError);
    });
    this.watch();
  }

  /**
   * Runs a script; loads it where the server does not know it. All keys are of one partition, or there is no Cluster.
   *
   * @param evenRefused for the question whether there is still a reason to refuse.
   */
  async run(
    script: RedisScript,
    partition: number,
    keys: readonly string[],
    args: readonly RedisArgument[],
    evenRefused = false,
  ): Promise<unknown> {
    try {
      return await this.evalSha(script, partition, keys, args, evenRefused);
    } catch (error) {
      if (!isNoScript(error)) throw commandError(error);
    }
    try {
      return await this.evalText(script, partition, keys, args, evenRefused);
    } catch (error) {
      throw commandError(error);
    }
  }

  /** Like `run`, but without loading and with the error as it came, for who must keep an order. */
  evalSha(
    script: RedisScript,
    partition: number,
    keys: readonly string[],
    args: readonly RedisArgument[],
    evenRefused = false,
  ): Promise<unknown> {
    return this.send(partition, 'evalsha', [script.sha, keys.length, ...keys, ...args], evenRefused);
  }

  evalText(
    script: RedisScript,
    partition: number,
    keys: readonly string[],
    args: readonly RedisArgument[],
    evenRefused = false,
  ): Promise<unknown> {
    return this.send(partition, 'eval', [script.text, keys.length, ...keys, ...args], evenRefused);
  }

  /** One command whose keys lie in a partition. */
  async command(partition: number, name: string, args: readonly RedisArgument[]): Promise<unknown> {
    try {
      return await this.send(partition, name, args);
    } catch (error) {
      throw commandError(error);
    }
  }

  /**
   * Waits until replicas have what was just written to the partition's server. To be called right after it.
   *
   * @returns How many have; 0 when that cannot be known.
   */
  async proven(partition: number): Promise<number> {
    const node = this.nodeOf(partition);
    return node === undefined ? 0 : await this.proofs.of(node);
  }

  /** Text of `INFO` of some server. */
  async info(): Promise<string> {
    const client = this.cluster?.nodes('master')[0] ?? this.client;
    return client.info();
  }

  close(): void {
    this.running = false;
    this.timer?.cancel();
    this.client.disconnect();
    if (isCluster(this.client)) endSlotsTimer(this.client);
  }

  private send(
    partition: number,
    name: string,
    args: readonly RedisArgument[],
    evenRefused = false,
  ): Promise<unknown> {
    const server = this.serverOf(partition);
    if (!this.running) return Promise.reject(notRunning());
    if (this.refusal !== undefined && !evenRefused) return Promise.reject(unavailable(this.refusal));
    if (this.client.status !== 'ready' || this.stalled.has(server))
      return Promise.reject(unavailable(`Redis is away: ${this.trouble ?? 'it does not answer'}`));
    if (this.pending >= this.settings.maxQueued)
      return Promise.reject(unavailable('Too many commands wait for Redis'));
    const client = this.direct ? this.nodeOf(partition) : this.client;
    if (client === undefined) return Promise.reject(unavailable('The server of the partition is not known'));
    const command = new Command(name, args.map(String), { replyEncoding: 'utf8' });
    const answer = this.answer(server, client, command);
    return this.direct && this.clustered ? this.refreshed(answer) : answer;
  }

  /** How long Redis may let a command wait: behind a question for replicas it takes up nothing before it is answered. */
  private get waitMs(): number {
    return this.direct ? (this.settings.replicated?.timeoutMs ?? 0) : 0;
  }

  private async wait(node: Redis): Promise<number> {
    const replicas = this.settings.replicated?.replicas ?? 0;
    const command = new Command('wait', [String(replicas), String(this.waitMs)], { replyEncoding: 'utf8' });
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

  /** Gives a command its deadline. A server that lets one pass is stalled until it answers something. */
  private answer(server: string, client: RedisClient, command: Command): Promise<unknown> {
    const { clock, commandTimeoutMs } = this.settings;
    this.pending += 1;
    return new Promise((resolve, reject) => {
      const timer = answerBy(clock, commandTimeoutMs + this.waitMs, () => {
        this.stall(server);
        reject(unanswered());
      });
      const done = () => {
        this.pending -= 1;
        timer.cancel();
      };
      (client.sendCommand(command) as Promise<unknown>).then(
        (value) => {
          done();
          this.revive(server);
          resolve(value);
        },
        (error: unknown) => {
          done();
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- judged by `commandError`
          reject(error);
        },
      );
    });
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
    this.changed();
  }

  private revive(server: string): void {
    if (this.stalled.delete(server)) this.changed();
  }

  private changed(): void {
    if (this.client.status !== 'ready' && !this.clustered) this.stalled.clear();
    if (this.running) this.onChange();
  }

  /** Asks every server for a sign of life, and gives up connections on which nothing comes back. */
  private watch(): void {
    const { clock, heartbeatMs, commandTimeoutMs } = this.settings;
    const now = clock.monotonic();
    if (this.client.status === 'ready') {
      const nodes: readonly [string, Redis][] = isCluster(this.client)
        ? this.client.nodes('master').map((node) => [this.nameOf(node), node])
        : [[SINGLE, this.client]];
      const known = new Set(nodes.map(([server]) => server));
      for (const server of [...this.stalled]) if (!known.has(server)) this.revive(server);
      for (const [server, node] of nodes) this.ping(server, node);
    } else if (this.client.status === 'end') {
      // ioredis gives up for good when an attempt is interrupted at the wrong moment.
      this.client.connect().catch(() => undefined);
    } else if (!isCluster(this.client) && this.client.status === 'connect') {
      // A server that stands still takes the connection and then says nothing; another may have taken its place.
      if (now - this.connectedAt > commandTimeoutMs) giveUp(this.client, true);
    }
    this.timer = clock.schedule(heartbeatMs, () => this.watch());
  }

  private ping(server: string, node: Redis): void {
    if (this.pinging.has(server) || node.status !== 'ready') return;
    this.pinging.add(server);
    this.answer(server, node, new Command('ping', [], { replyEncoding: 'utf8' }))
      .catch((error: unknown) => {
        if (!this.running || commandError(error).code !== 'timeout' || node.status !== 'ready') return;
        giveUp(node, !this.clustered);
        this.cluster?.refreshSlotsCache();
      })
      .finally(() => this.pinging.delete(server));
  }
}
