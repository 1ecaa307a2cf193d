import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { redisBroker, type RedisBroker, type RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import { RedisKeys } from '../../lib/brokers/redis/keys.js';
import { stretched } from '../support/patience.js';
import { RecordingListener } from '../../lib/brokers/contract/recording-listener.js';
import { RedisProcess, type RedisProcessOptions } from '../support/redis/process.js';

/** Brokers over one server that a test may do anything to. */
export class RedisKit {
  readonly prefix = `u${randomBytes(4).toString('hex')}`;
  readonly keys = new RedisKeys(this.prefix, 4);
  readonly admin: Redis;
  readonly brokers: RedisBroker[] = [];

  private constructor(readonly server: RedisProcess) {
    this.admin = new Redis(server.url, { retryStrategy: () => 20, maxRetriesPerRequest: 200 });
    this.admin.on('error', () => undefined);
  }

  static async open(options: RedisProcessOptions = {}): Promise<RedisKit> {
    return new RedisKit(
      await RedisProcess.start({
        ...options,
        args: ['--enable-debug-command', 'local', ...(options.args ?? [])],
      }),
    );
  }

  make(options: RedisBrokerOptions = {}): RedisBroker {
    const broker = redisBroker({
      url: this.server.url,
      keyPrefix: this.prefix,
      partitions: 4,
      // Longer than a busy machine stands still.
      commandTimeoutMs: stretched(1_500),
      controlMaxAgeMs: stretched(10_000),
      heartbeatMs: 50,
      maxReconnectMs: 50,
      sweepMs: 50,
      ...options,
    });
    this.brokers.push(broker);
    return broker;
  }

  async node(options: RedisBrokerOptions = {}) {
    const broker = this.make(options);
    const seen = new RecordingListener();
    await broker.start(seen);
    return { broker, seen };
  }

  /** As it was before the first broker, for the next test. */
  /** Ends the nodes, lets the server take writes again, and removes all keys. */
  async reset(): Promise<void> {
    await this.closeAll();
    await this.admin.config('SET', 'maxmemory', '0', 'min-replicas-to-write', '0');
    await this.admin.flushall();
  }

  async dispose(): Promise<void> {
    await this.closeAll();
    this.admin.disconnect();
    await this.server.dispose();
  }

  /** Ends the nodes. */
  async closeAll(): Promise<void> {
    this.server.resume();
    await Promise.all(this.brokers.splice(0).map((broker) => broker.close()));
  }
}
