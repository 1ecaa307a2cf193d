import type { Scheduled } from '../../core/ports/clock.js';
import type { RedisCommands } from './connection/redis.commands.js';
import { bootError } from './redis.errors.js';
import { CONTROL_CHANNEL, type RedisKeys } from './redis.keys.js';
import type { RedisSettings } from './redis.settings.js';
import { HEARTBEAT } from './scripts/index.js';

/** Says that this node lives, and sees to it that all nodes divide their channels alike. */
export class RedisHeart {
  private timer: Scheduled | undefined;
  private closed = false;

  constructor(
    private readonly node: string,
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
    private readonly onChange: () => void,
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
    this.timer = this.settings.clock.schedule(this.settings.heartbeatMs, () => {
      this.beat()
        .then((problem) => {
          // The data was lost, and a node that divides otherwise came first.
          if (problem === this.commands.refusal) return;
          this.commands.refusal = problem;
          if (problem !== undefined) this.settings.onWarning(`redisBroker: ${problem}. ${this.remedy}`);
          this.onChange();
        })
        .catch(() => undefined)
        .finally(() => this.arm());
    });
  }

  /** @returns What is wrong. */
  private async beat(): Promise<string | undefined> {
    const { nodeTtlMs } = this.settings;
    const own = String(this.keys.partitions);
    const [stored] = (await this.commands.run(
      HEARTBEAT,
      this.partition,
      [this.keys.nodes, this.keys.meta],
      [this.node, nodeTtlMs, own],
    )) as readonly [string];
    if (stored === own) return undefined;
    return `the channels under this \`keyPrefix\` are divided into ${stored} partitions, and \`partitions\` is ${own}`;
  }
}
