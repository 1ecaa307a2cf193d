import { ChannelFollower } from './channel-follower.js';
import { patience } from '../patience.js';
import { WireClient, type WireClientOptions, type WireEnvelope } from './client.js';
import type { SubscribeResult } from '../../../lib/protocol/messages.js';

/** Longest silence that a peer waits through; a connection that ends ends the wait. */
const SILENCE_MS = patience(60_000);

/** Where a peer connects to. */
export interface Endpoint {
  readonly url: string;
}

/**
 * A client for as long as a test: it comes back with its ticket and its positions, and every envelope of a channel goes
 * through a {@link ChannelFollower}. The first broken promise is kept in {@link failure}.
 */
export class WirePeer {
  readonly channels = new Map<string, ChannelFollower>();
  client: WireClient | undefined;
  failure: Error | undefined;
  /** Of the last `welcome`. */
  ticket: string | undefined;
  /** Envelopes that came on all connections. */
  received = 0;
  /** Called with every envelope, after the follower took it. */
  onEnvelope: ((envelope: WireEnvelope) => void) | undefined;
  private pumping: Promise<void> = Promise.resolve();
  private readonly answers = new Map<string, (envelope: WireEnvelope | undefined) => void>();
  private readonly subscribes = new Map<string, ChannelFollower>();
  private ids = 0;

  constructor(
    readonly name: string,
    private readonly options: WireClientOptions = {},
  ) {}

  /** The follower of a channel; made with the first look at it. */
  channel(name: string): ChannelFollower {
    let follower = this.channels.get(name);
    if (follower === undefined) this.channels.set(name, (follower = new ChannelFollower(name)));
    return follower;
  }

  get isConnected(): boolean {
    return this.client !== undefined && this.client.ended === undefined;
  }

  /** Opens a connection and greets, with the last ticket. */
  async connect(endpoint: Endpoint): Promise<void> {
    await this.cut();
    const client = await WireClient.open(endpoint.url, { name: this.name, ...this.options });
    const { session } = await client.hello(
      this.name,
      this.ticket === undefined ? {} : { session: this.ticket },
    );
    this.ticket = session;
    this.client = client;
    this.pumping = this.pump(client);
  }

  /** Ends the connection without a word and forgets what was under way on it. */
  async cut(): Promise<void> {
    this.client?.terminate();
    await this.pumping;
    this.client = undefined;
  }

  /** Sends a command; `undefined` when the connection ended before its answer. */
  call(command: Readonly<Record<string, unknown>>): Promise<WireEnvelope | undefined> {
    const { client } = this;
    if (client === undefined || client.ended !== undefined) return Promise.resolve(undefined);
    const id = typeof command['id'] === 'string' ? command['id'] : this.id();
    return new Promise((resolve) => {
      this.answers.set(id, resolve);
      client.send({ ...command, id });
    });
  }

  /** Subscribes from where the follower is; `payload` may say otherwise. */
  follow(
    channel: string,
    payload: Readonly<Record<string, unknown>> = {},
  ): Promise<WireEnvelope | undefined> {
    const follower = this.channel(channel);
    const id = this.id();
    this.subscribes.set(id, follower);
    const { position } = follower;
    return this.call({
      type: 'subscribe',
      id,
      channel,
      payload: { ...(position === undefined ? {} : { position }), ...payload },
    });
  }

  /** Subscribes as if for the first time: the position is given up, and with it what was missed. Not while it is in use. */
  async anew(channel: string): Promise<WireEnvelope | undefined> {
    const follower = this.channel(channel);
    if (follower.isSubscribed || [...this.subscribes.values()].includes(follower)) return undefined;
    follower.position = undefined;
    return await this.follow(channel);
  }

  /** Ends the subscription; its follower refuses whatever comes after the answer. */
  async leave(channel: string): Promise<WireEnvelope | undefined> {
    return await this.call({ type: 'unsubscribe', channel, id: `${this.id()}!${channel}` });
  }

  /** Everything that the server sent before this call has been looked at when it resolves. */
  async settle(): Promise<void> {
    await this.call({ type: 'ping' });
  }

  /** @throws what the server broke, if it did. */
  check(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  private id(): string {
    return `${this.name}-${++this.ids}`;
  }

  private async pump(client: WireClient): Promise<void> {
    for (;;) {
      let envelope: WireEnvelope;
      try {
        envelope = await client.next(undefined, SILENCE_MS);
      } catch {
        break;
      }
      // Kept for error messages only, which a peer does not need.
      client.received.length = 0;
      try {
        this.take(envelope);
      } catch (error) {
        this.failure ??= error as Error;
        // What follows would only repeat it, and whoever waits for an answer shall not wait in vain.
        client.terminate();
      }
    }
    for (const follower of this.channels.values()) follower.stop();
    this.subscribes.clear();
    const waiting = [...this.answers.values()];
    this.answers.clear();
    for (const resolve of waiting) resolve(undefined);
  }

  private take(envelope: WireEnvelope): void {
    this.received++;
    const { ref, channel } = envelope;
    if (ref !== undefined) {
      const follower = this.subscribes.get(ref);
      if (envelope.type === 'reply') {
        follower?.onAnswer(envelope.payload as unknown as SubscribeResult);
        if (ref.includes('!')) this.channels.get(ref.slice(ref.indexOf('!') + 1))?.stop();
      }
      this.subscribes.delete(ref);
      const resolve = this.answers.get(ref);
      if (resolve === undefined)
        throw new Error(`${this.name}: a second answer to ${ref}, or one to nothing`);
      this.answers.delete(ref);
      resolve(envelope);
    } else if (envelope.type === 'unsubscribed' && channel !== undefined) {
      this.channels.get(channel)?.stop();
    } else if (channel !== undefined) {
      this.channel(channel).onEnvelope(envelope);
    }
    this.onEnvelope?.(envelope);
  }
}
