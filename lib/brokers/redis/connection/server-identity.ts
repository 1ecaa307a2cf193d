import type { Redis } from 'ioredis';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { RedisSettings } from '../settings.js';
import { answerWithin, disconnectOnce } from './liveness.js';

/**
 * Which process of a server is at the other end of a connection, for as long as it is open. Behind one address there may be
 * several, as with a proxy or a Kubernetes Service: after a failover, connections that were there stay on the server that was
 * the master.
 */
export class ServerIdentity {
  private server: string | undefined;
  private opened = 0;

  constructor(
    private readonly client: Redis,
    private readonly settings: RedisSettings,
    private readonly resolve: (host: string) => Promise<readonly string[]> = addressesOf,
  ) {
    client.on('close', () => {
      this.opened += 1;
      this.server = undefined;
    });
  }

  /** To be called when the connection is ready. Never rejects. @returns whether it is still the same connection. */
  async ask(): Promise<boolean> {
    const { commandTimeoutMs, clock } = this.settings;
    const { opened } = this;
    const info = await answerWithin(this.client.info('server'), commandTimeoutMs, clock).catch(() => '');
    if (opened !== this.opened) return false;
    // A service that does not say it: then nothing is compared.
    this.server = /^run_id:(\w+)/m.exec(info)?.[1];
    return true;
  }

  /** Makes another connection where this one leads to another server. @returns whether it does. */
  stayWith(server: string): boolean {
    if (this.client.status !== 'ready') return false;
    if (this.server === undefined || server === '' || this.server === server) return false;
    disconnectOnce(this.client, true);
    return true;
  }

  /**
   * Makes another connection, unless this one leads to this address, as Sentinels name it; they may announce a name of the host
   * (`resolve-hostnames`). Never rejects.
   */
  async leave(address: string): Promise<void> {
    if (this.client.status !== 'ready') return;
    const { opened } = this;
    const { remoteAddress = '', remotePort = 0 } = this.client.stream;
    const own = remoteAddress.replace(/^::ffff:/, '');
    const end = address.lastIndexOf(':');
    const [host, port] = [address.slice(0, end), address.slice(end + 1)];
    if (port === String(remotePort)) {
      if (host === own) return;
      if (isIP(host) === 0) {
        const addresses = await this.resolve(host).catch((): readonly string[] => []);
        if (opened !== this.opened || addresses.includes(own)) return;
      }
    }
    disconnectOnce(this.client, true);
  }
}

async function addressesOf(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
}
