import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import type {
  ChannelBehaviour,
  ChannelDefinition,
  ChannelPolicy,
  PresencePolicy,
} from '../../../lib/core/ports/channel-definition.js';
import { ENGINE_DEFAULTS } from '../../../lib/core/ports/settings-defaults.js';
import type { EngineOptions, EngineSettings } from '../../../lib/core/ports/settings.js';
import { RealtimeEngine } from '../../../lib/core/engine/realtime-engine.js';
import type { Broker } from '../../../lib/core/ports/broker.js';
import type { RealtimeTracing } from '../../../lib/core/ports/tracer.js';
import type { Authenticator } from '../../../lib/core/ports/identity.js';
import type { Handshake, WireVariant } from '../../../lib/core/ports/connection.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { createPlainVariant, FakeConnection } from './fake-connection.js';
import { ManualClock, settle } from './manual-clock.js';
import { SeededEntropy } from './seeded-entropy.js';

/** Deep enough for every option of the settings. */
export type SettingsPatch = { [K in keyof EngineSettings]?: Partial<EngineSettings[K]> | EngineSettings[K] };

export function settingsWith(patch: SettingsPatch = {}): EngineSettings {
  const base: EngineSettings = {
    ...ENGINE_DEFAULTS,
    nodeId: 'node-1',
    ticketSecret: 'test-secret',
    anonymous: true,
  };
  const merged = Object.fromEntries(
    Object.entries(base).map(([key, value]) => {
      const override = patch[key as keyof EngineSettings];
      if (override === undefined) return [key, value];
      return [key, typeof value === 'object' ? { ...value, ...(override as object) } : override];
    }),
  );
  return merged as unknown as EngineSettings;
}

/** A channel that admits everybody to everything, with what a test wants otherwise. */
export function channel(
  pattern: string,
  {
    policy: { presence = false, ...policy } = {},
    behaviour = {},
  }: {
    policy?: Partial<Omit<ChannelPolicy, 'presence'>> & { presence?: Partial<PresencePolicy> | false };
    behaviour?: Partial<ChannelBehaviour>;
  } = {},
): ChannelDefinition {
  return {
    pattern,
    source: 'TestChannel',
    policy: {
      log: { retain: true, size: 1000, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 300_000 },
      durability: 'process',
      replayLimit: 10_000,
      presence: presence === false ? false : { graceMs: 5_000, maxMembers: 200, ...presence },
      overflow: 'disconnect',
      ...policy,
    },
    behaviour: {
      authorize: { subscribe: 'public', publish: 'public' },
      publish: new Map([['said', undefined]]),
      signals: new Set(['typing']),
      requests: new Map(),
      ...behaviour,
    },
  };
}

/** Lets everything that is under way come to rest: promises, the turn's flush, and what these start. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await settle();
}

/** Accepts `user:<id>` and, with an expiry in ms since the epoch, `user:<id>:<expiresAt>`. */
export const tokenAuthenticator: Authenticator = {
  authenticate({ token }) {
    if (token === undefined) return {};
    const [kind, id, expiresAt] = token.split(':');
    if (kind !== 'user' || id === undefined) throw new RealtimeError('unauthorized');
    return { user: { id }, ...(expiresAt === undefined ? {} : { expiresAt: Number(expiresAt) }) };
  },
};

/** An engine on the memory broker under a clock that stands still, with clients in memory. */
export class EngineHarness {
  readonly clock: ManualClock;
  readonly errors: unknown[] = [];
  /** What it logged in passing. */
  readonly logs: string[] = [];
  readonly engine: RealtimeEngine;
  readonly broker: Broker;
  private readonly variant: WireVariant;
  private ids = 0;

  constructor(
    channels: readonly ChannelDefinition[],
    {
      settings,
      clock = new ManualClock(),
      seed = 1,
      warnings = [],
      hints = [],
      ...options
    }: {
      settings?: SettingsPatch;
      /** Filled with what the engine warns of. */
      warnings?: string[];
      /** Filled with what it tells developers, at the level `debug`. */
      hints?: string[];
      broker?: Broker;
      /** Of its ids, which differ from node to node. */
      seed?: number;
      /** For a test whose broker, or second engine, must have the same time. */
      clock?: ManualClock;
    } & Partial<
      Pick<
        EngineOptions,
        | 'authenticator'
        | 'requests'
        | 'onConnect'
        | 'observers'
        | 'limitsForUser'
        | 'isExempt'
        | 'spam'
        | 'shedding'
        | 'holds'
      >
    > & {
        /** Traces the engine; what it warns of is in `warnings`. */
        tracing?: RealtimeTracing;
      } = {},
  ) {
    this.clock = clock;
    const entropy = new SeededEntropy(seed);
    this.broker = options.broker ?? memoryBroker({ clock, entropy });
    const { nodeId } = settingsWith(settings);
    const warn = (message: string): void => void warnings.push(message);
    this.engine = new RealtimeEngine({
      broker: this.broker,
      authenticator: options.authenticator ?? tokenAuthenticator,
      channels,
      requests: options.requests ?? new Map(),
      ...(options.onConnect === undefined ? {} : { onConnect: options.onConnect }),
      limitsForUser: options.limitsForUser,
      isExempt: options.isExempt,
      spam: options.spam,
      shedding: options.shedding,
      tracer: options.tracing?.start({ nodeId, clock, entropy, logger: { warn } }),
      holds: options.holds,
      observers: options.observers ?? [],
      settings: settingsWith(settings),
      clock: this.clock,
      entropy,
      logger: {
        debug: (message) => void hints.push(message),
        log: (message) => void this.logs.push(message),
        warn,
        error: (message, error) => void this.errors.push(error ?? message),
      },
    });
    this.variant = createPlainVariant();
  }

  static async start(...parameters: ConstructorParameters<typeof EngineHarness>): Promise<EngineHarness> {
    const harness = new EngineHarness(...parameters);
    await harness.engine.start();
    return harness;
  }

  connect(handshake: Partial<Handshake> = {}, oneWay = false): FakeConnection {
    const connection = new FakeConnection(this.variant, handshake, oneWay);
    connection.handler = this.engine.host.open(connection, {});
    return connection;
  }

  /** A connection that has been welcomed. */
  async greet(token?: string, session?: string): Promise<FakeConnection> {
    const connection = this.connect();
    connection.send({ type: 'hello', id: this.id(), payload: { versions: [1], token, session } });
    await quiet();
    return connection;
  }

  /** A welcomed connection that is subscribed; its answers are already taken. */
  async subscriber(channelName: string, token?: string): Promise<FakeConnection> {
    const connection = await this.greet(token);
    connection.send({ type: 'subscribe', id: this.id(), channel: channelName });
    await quiet();
    connection.take();
    return connection;
  }

  /** Publishes `count` events from the application, in one turn. */
  async publish(
    channelName: string,
    count = 1,
    fields: { key?: (index: number) => string; size?: number } = {},
  ): Promise<void> {
    const work: Promise<unknown>[] = [];
    for (let index = 0; index < count; index++) {
      const key = fields.key?.(index);
      const payload = fields.size === undefined ? index : 'x'.repeat(fields.size);
      work.push(
        this.engine.application.publish(channelName, 'said', payload, key === undefined ? {} : { key }),
      );
    }
    await Promise.all(work);
    await quiet();
  }

  async stop(): Promise<void> {
    await this.engine.stop();
  }

  private id(): string {
    return `c${++this.ids}`;
  }
}
