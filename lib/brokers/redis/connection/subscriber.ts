import type { Redis } from 'ioredis';
import type { Scheduled } from '../../../core/ports/clock.js';
import { commandError, unanswered, unavailable } from '../errors.js';
import type { RedisSettings } from '../settings.js';
import { answerBy } from './deadline.js';
import { giveUp } from './give-up.js';

/** What a subscriber tells its owner. */
export interface SubscriberOwner {
  onMessage(topic: string, text: string): void;
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
  private timer: Scheduled | undefined;
  private pinging = false;
  private connectedAt = 0;
  private closed = false;

  constructor(
    private readonly client: Redis,
    private readonly settings: RedisSettings,
    private readonly owner: SubscriberOwner,
  ) {
    client.on('smessage', (topic: string, text: string) => {
      if (!this.closed) this.owner.onMessage(topic, text);
    });
    client.on('connect', () => (this.connectedAt = settings.clock.monotonic()));
    client.on('ready', () => this.setReady(true));
    client.on('close', () => this.setReady(false));
    client.on('end', () => this.setReady(false));
    client.on('moved', () => this.owner.onMoved(this));
  }

  connect(): void {
    this.client.connect().catch(() => undefined);
    this.watch();
  }

  /** The topics are of one slot, or there is no Cluster. */
  subscribe(topics: readonly string[]): Promise<void> {
    return this.bounded(() => this.client.ssubscribe(...topics));
  }

  unsubscribe(topics: readonly string[]): Promise<void> {
    return this.bounded(() => this.client.sunsubscribe(...topics));
  }

  close(): void {
    this.closed = true;
    this.ready = false;
    this.timer?.cancel();
    this.client.disconnect();
  }

  private async bounded(send: () => Promise<unknown>): Promise<void> {
    if (!this.ready) throw unavailable('There is no connection to Redis');
    const { clock, commandTimeoutMs } = this.settings;
    await new Promise<void>((resolve, reject) => {
      const timer = answerBy(clock, commandTimeoutMs, () => reject(unanswered()));
      send().then(
        () => {
          timer.cancel();
          resolve();
        },
        (error: unknown) => {
          timer.cancel();
          reject(commandError(error));
        },
      );
    });
  }

  private setReady(ready: boolean): void {
    if (this.closed || ready === this.ready) return;
    this.ready = ready;
    if (ready) this.owner.onReady(this);
    else this.owner.onLost(this);
  }

  /** A connection that is dead without having been closed would be silent for ever. */
  private watch(): void {
    const { clock, heartbeatMs, commandTimeoutMs } = this.settings;
    if (this.ready) this.ping();
    else if (this.client.status === 'end') this.client.connect().catch(() => undefined);
    else if (this.client.status === 'connect' && clock.monotonic() - this.connectedAt > commandTimeoutMs)
      giveUp(this.client, true);
    this.timer = clock.schedule(heartbeatMs, () => this.watch());
  }

  private ping(): void {
    if (this.pinging) return;
    this.pinging = true;
    this.bounded(() => this.client.ping())
      .catch(() => {
        if (this.ready) giveUp(this.client, true);
      })
      .finally(() => (this.pinging = false));
  }
}
