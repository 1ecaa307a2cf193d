import type { Redis } from 'ioredis';
import type { Scheduled } from '../../../core/ports/clock.js';
import { commandError, unavailable } from '../errors.js';
import type { RedisSettings } from '../settings.js';
import { answerWithin, disconnectOnce, Reconnector } from './liveness.js';
import { ServerIdentity } from './server-identity.js';

/** What a subscriber notifies its owner of. */
export interface SubscriberEvents {
  onMessage(topic: string, bytes: Buffer): void;
  /** There is a connection, and nothing is subscribed on it. */
  onReady(subscriber: RedisSubscriber): void;
  /** The connection is gone, and with it every subscription. */
  onLost(subscriber: RedisSubscriber): void;
  /** A slot left this server. */
  onMoved(subscriber: RedisSubscriber): void;
}

/** One connection for sharded pub/sub, to one server. */
export class RedisSubscriber {
  ready = false;
  private readonly reconnector: Reconnector;
  private readonly identity: ServerIdentity;
  private timer: Scheduled | undefined;
  private pinging = false;
  private closed = false;

  constructor(
    private readonly client: Redis,
    private readonly settings: RedisSettings,
    private readonly events: SubscriberEvents,
    /** Whether several servers may be behind the address: in a Cluster each has its own. */
    private readonly isShared: boolean,
  ) {
    this.identity = new ServerIdentity(client, settings);
    this.reconnector = new Reconnector(client, settings);
    client.on('smessageBuffer', (topic: Buffer, bytes: Buffer) => {
      if (!this.closed) events.onMessage(topic.toString(), bytes);
    });
    client.on('ready', () => void this.greet());
    client.on('close', () => this.setReady(false));
    client.on('end', () => this.setReady(false));
    client.on('moved', () => events.onMoved(this));
  }

  connect(): void {
    this.client.connect().catch(() => undefined);
    this.watch();
  }

  /** Makes another connection where this one leads to another server than the given one. @returns whether it does. */
  stayWith(server: string): boolean {
    return this.ready && this.identity.stayWith(server);
  }

  /** The topics are of one slot, or there is no Cluster. */
  subscribe(topics: readonly string[]): Promise<void> {
    return this.send(() => this.client.ssubscribe(...topics));
  }

  unsubscribe(topics: readonly string[]): Promise<void> {
    return this.send(() => this.client.sunsubscribe(...topics));
  }

  close(): void {
    this.closed = true;
    this.ready = false;
    this.timer?.cancel();
    this.client.disconnect();
  }

  private async send(command: () => Promise<unknown>): Promise<void> {
    if (!this.ready) throw unavailable('There is no connection to Redis');
    const { clock, commandTimeoutMs } = this.settings;
    try {
      await answerWithin(command(), commandTimeoutMs, clock);
    } catch (error) {
      throw commandError(error);
    }
  }

  /** A connection with subscriptions can no longer be asked which server it leads to. */
  private async greet(): Promise<void> {
    if (!this.isShared || (await this.identity.ask())) this.setReady(true);
  }

  private setReady(ready: boolean): void {
    if (this.closed || ready === this.ready) return;
    this.ready = ready;
    if (ready) this.events.onReady(this);
    else this.events.onLost(this);
  }

  /** Looks for a connection that is dead without having been closed: it would be silent for ever. */
  private watch(): void {
    const { clock, heartbeatMs } = this.settings;
    if (this.ready) this.ping();
    else this.reconnector.check();
    this.timer = clock.schedule(heartbeatMs, () => this.watch());
  }

  private ping(): void {
    if (this.pinging) return;
    this.pinging = true;
    this.send(() => this.client.ping())
      .catch((error: unknown) => {
        // A server that cannot write to its disk refuses even this (`MISCONF`): it is there.
        if (this.ready && commandError(error).code === 'timeout') disconnectOnce(this.client, true);
      })
      .finally(() => (this.pinging = false));
  }
}
