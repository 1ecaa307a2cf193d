import type { Redis } from 'ioredis';
import type { RedisTarget } from './target.js';

const SWITCHED = '+switch-master';

/**
 * Listens to the Sentinels for a change of the master. A connection to the old one may stay open: that server may be cut off from
 * the Sentinels alone, and not know yet. The `failoverDetector` of ioredis writes the errors of its connections to the console.
 */
export class SentinelWatch {
  private clients: readonly Redis[] = [];

  /** @param onSwitch Called with the address at which the new master is reached, by each Sentinel once. */
  constructor(
    private readonly target: RedisTarget,
    private readonly onSwitch: (address: string) => void,
  ) {}

  /** The target must be loaded. Does nothing where there are no Sentinels. */
  start(): void {
    const { name, clients, reached } = this.target.sentinels();
    this.clients = clients;
    for (const client of clients) {
      client.on('ready', () => void client.subscribe(SWITCHED).catch(() => undefined));
      client.on('message', (_channel: string, text: string) => {
        // Name, old host and port, new host and port.
        const [of, , , host = '', port = ''] = text.split(' ');
        if (of === name) this.onSwitch(reached(`${host}:${port}`));
      });
      client.connect().catch(() => undefined);
    }
  }

  close(): void {
    for (const client of this.clients) client.disconnect();
  }
}
