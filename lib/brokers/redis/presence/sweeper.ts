import type { Scheduled } from '../../../core/ports/clock.js';
import type { RedisCommands } from '../connection/commands.js';
import type { RedisKeys } from '../keys.js';
import type { RedisSettings } from '../settings.js';
import { DUE } from '../scripts/index.js';
import type { RedisPresence } from './presence.js';

/** Most channels of a partition that one look finds; the rest is found by the next. */
const MOST = 50;

/**
 * Ends the leases of nodes that died, and graces that ran out. Every node looks; the script that ends a lease takes it
 * away, so whoever comes first does it, once.
 */
export class RedisSweeper {
  private timer: Scheduled | undefined;
  private closed = false;

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
    private readonly presence: RedisPresence,
  ) {}

  start(): void {
    const { clock, sweepMs, entropy } = this.settings;
    if (this.closed) return;
    this.timer = clock.schedule(sweepMs * (0.75 + entropy.random() / 4), () => {
      void this.sweep().finally(() => this.start());
    });
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  private async sweep(): Promise<void> {
    const { partitions } = this.keys;
    const all = Array.from({ length: partitions }, (_, partition) => partition);
    const groups = this.commands.clustered ? all.map((partition) => [partition]) : [all];
    await Promise.allSettled(groups.map((group) => this.sweepGroup(group)));
  }

  private async sweepGroup(partitions: readonly number[]): Promise<void> {
    const keys = partitions.map((partition) => this.keys.due(partition));
    const found = (await this.commands.run(DUE, partitions[0] ?? 0, keys, [MOST])) as readonly unknown[];
    for (let at = 1; at < found.length && !this.closed; at += 2)
      await this.presence.expire(String(found[at]));
  }
}
