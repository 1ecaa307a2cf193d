import type { Scheduled } from '../../core/ports/clock.js';
import type { Position } from '../../protocol/position.js';
import type { RedisCommands } from './connection/redis.commands.js';
import { bootError } from './redis.errors.js';
import { CONTROL_CHANNEL, type RedisKeys } from './redis.keys.js';
import type { RedisSettings } from './redis.settings.js';
import { HEARTBEAT } from './scripts/index.js';

/** What the heart tells its owner. */
export interface HeartOwner {
  /** Commands are refused, or are no longer. */
  onChange(): void;
  /** The log of control records ended at `tip`, at the monotonic time `askedAt` or later. */
  onControlTip(tip: Position, askedAt: number): void;
}

/**
 * Says that this node lives, sees to it that all nodes divide their channels alike, and learns how far the control records
 * go.
 */
export class RedisHeart {
  private timer: Scheduled | undefined;
  private closed = false;

  constructor(
    private readonly node: string,
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
    private readonly owner: HeartOwner,
  ) {}

  private get partition(): number {
    return this.keys.partitionOf(CONTROL_CHANNEL);
  }

  /** @throws Error that names the option, when the deployment was divided otherwise. */
  async start(): Promise<void> {
    const problem = await this.beat();
    if (problem !== undefined) throw bootError(problem, this.remedy);
    this.arm();
  }

  /** Does not wait for its time: the way to Redis has just opened. */
  beatNow(): void {
    if (this.timer === undefined) return;
    this.timer.cancel();
    this.run();
  }

  /** Nobody waits for this node any more. */
  async stop(): Promise<void> {
    this.closed = true;
    this.timer?.cancel();
    await this.commands.command(this.partition, 'zrem', [this.keys.nodes, this.node]);
  }

  private get remedy(): string {
    return 'Give every node of a deployment the same `partitions`; to change it, use another `keyPrefix` or remove the keys of this one.';
  }

  private arm(): void {
    if (this.closed) return;
    this.timer = this.settings.clock.schedule(this.settings.heartbeatMs, () => this.run());
  }

  private run(): void {
    this.timer = undefined;
    this.beat()
      .then((problem) => {
        // The data was lost, and a node that divides otherwise came first.
        if (problem === this.commands.refusal) return;
        this.commands.refusal = problem;
        if (problem !== undefined) this.settings.onWarning(`redisBroker: ${problem}. ${this.remedy}`);
        this.owner.onChange();
      })
      .catch(() => undefined)
      .finally(() => this.arm());
  }

  /** @returns What is wrong. */
  private async beat(): Promise<string | undefined> {
    const { clock, epochs, headMs, nodeTtlMs } = this.settings;
    const askedAt = clock.monotonic();
    const own = String(this.keys.partitions);
    const [stored, epoch, seq] = (await this.commands.run(
      HEARTBEAT,
      this.partition,
      [this.keys.nodes, this.keys.meta, this.keys.head(CONTROL_CHANNEL), this.keys.stream(CONTROL_CHANNEL)],
      [this.node, nodeTtlMs, own, epochs.next(), headMs],
    )) as readonly [string, string?, number?];
    if (epoch !== undefined) this.owner.onControlTip({ epoch, seq: Number(seq) }, askedAt);
    return stored === own
      ? undefined
      : `the channels under this \`keyPrefix\` are divided into ${stored} partitions, and \`partitions\` is ${own}`;
  }
}
