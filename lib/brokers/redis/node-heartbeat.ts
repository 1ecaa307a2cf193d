import type { Scheduled } from '../../core/ports/clock.js';
import type { Position } from '../../protocol/position.js';
import type { RedisCommands } from './connection/commands.js';
import { CONTROL_CHANNEL, LAYOUT, type RedisKeys } from './keys.js';
import type { RedisSettings } from './settings.js';
import { HEARTBEAT } from './scripts/index.js';

/** What the heart tells its owner. */
export interface HeartOwner {
  /** Commands are refused, or are no longer. */
  onChange(): void;
  /** The log of control records ended at `tip`, at the monotonic time `askedAt` or later. */
  onControlTip(tip: Position, askedAt: number): void;
}

/** Why this node cannot work beside the others of its deployment. */
interface Misfit {
  readonly problem: string;
  /** The problem with what to do about it. */
  readonly text: string;
}

/**
 * Says that this node lives, sees to it that all nodes have one layout and divide their channels alike, and learns how far
 * the control records go.
 */
export class RedisHeart {
  private node = '';
  private timer: Scheduled | undefined;
  private closed = false;

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
    private readonly owner: HeartOwner,
  ) {}

  private get partition(): number {
    return this.keys.partitionOf(CONTROL_CHANNEL);
  }

  /** @throws Error that says what to do, when the deployment has another layout or was divided otherwise. */
  async start(node: string): Promise<void> {
    this.node = node;
    const misfit = await this.beat();
    if (misfit !== undefined) throw new Error(`redisBroker: ${misfit.text}`);
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

  private arm(): void {
    if (this.closed) return;
    this.timer = this.settings.clock.schedule(this.settings.heartbeatMs, () => this.run());
  }

  private run(): void {
    this.timer = undefined;
    this.beat()
      .then((misfit) => {
        // The deployment moved on to another layout; or the data was lost, and a node that divides otherwise came first.
        if (misfit?.problem === this.commands.refusal) return;
        this.commands.refusal = misfit?.problem;
        if (misfit !== undefined) this.settings.onWarning(`redisBroker: ${misfit.text}`);
        this.owner.onChange();
      })
      .catch(() => undefined)
      .finally(() => this.arm());
  }

  /** @returns What is wrong. */
  private async beat(): Promise<Misfit | undefined> {
    const { clock, epochs, headMs, keyPrefix, nodeTtlMs } = this.settings;
    const { keys } = this;
    const askedAt = clock.monotonic();
    const [layout, partitions, epoch, seq] = (await this.commands.run(
      HEARTBEAT,
      this.partition,
      [keys.layout, keys.nodes, keys.meta, keys.head(CONTROL_CHANNEL), keys.stream(CONTROL_CHANNEL)],
      [LAYOUT, this.node, nodeTtlMs, keys.partitions, epochs.next(), headMs],
      true,
    )) as readonly [string, string?, string?, number?];
    if (partitions === undefined) return otherLayout(keyPrefix, layout);
    if (epoch === undefined) return otherPartitions(partitions, keys.partitions);
    this.owner.onControlTip({ epoch, seq: Number(seq) }, askedAt);
    return undefined;
  }
}

function otherLayout(prefix: string, stored: string): Misfit {
  const problem = `what is under \`keyPrefix\` "${prefix}" has layout ${stored}, and this version of nestjs-realtime knows layout ${LAYOUT}`;
  return {
    problem,
    text: `${problem}: run a version that knows layout ${stored}, or give this one another \`keyPrefix\`.`,
  };
}

function otherPartitions(stored: string, own: number): Misfit {
  const problem = `the channels under this \`keyPrefix\` are divided into ${stored} partitions, and \`partitions\` is ${own}`;
  return {
    problem,
    text:
      `${problem}. Give every node of a deployment the same \`partitions\`; to change it, use another \`keyPrefix\` or remove ` +
      'the keys of this one.',
  };
}
