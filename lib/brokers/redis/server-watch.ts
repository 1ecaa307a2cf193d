import type { Scheduled } from '../../core/ports/clock.js';
import type { RedisCommands } from './connection/commands.js';
import { CONTROL_CHANNEL, type RedisKeys } from './keys.js';
import { SERVER } from './scripts/server.js';
import type { RedisSettings } from './settings.js';

/**
 * Looks at the server with every heartbeat, so that scripts can tell a change of its replication id that loses nothing, as a
 * backup makes it, from one that may have lost something (G6). Not in a Cluster, whose masters have replicas: theirs changes with
 * a failover only.
 */
export class ServerWatch {
  private timer: Scheduled | undefined;
  private closed = false;

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
  ) {}

  /** Looks for the first time, and from now on. Never rejects. */
  async start(): Promise<void> {
    if (this.commands.clustered) return;
    await this.look();
    if (this.closed) return;
    this.timer = this.settings.clock.schedule(this.settings.heartbeatMs, () => void this.start());
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  /** What was seen before stays where the server does not answer: it carries the time at which it was true. */
  private async look(): Promise<void> {
    const partition = this.keys.partitionOf(CONTROL_CHANNEL);
    await this.commands.run(SERVER, partition, [this.keys.meta], []).then(
      (found) => this.settings.server.note(String(found)),
      () => undefined,
    );
  }
}
