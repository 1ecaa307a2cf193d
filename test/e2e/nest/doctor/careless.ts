import {
  Controller,
  Module,
  type CanActivate,
  type DynamicModule,
  type ExecutionContext,
} from '@nestjs/common';
import type { StorageWeakness } from '../../../../lib/brokers/broker.js';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import {
  Authorize,
  Channel,
  ChannelParam,
  OnPublish,
  OnRequest,
  PublicChannel,
  RealtimeModule,
  RealtimeUser,
  Snapshot,
  type RealtimeModuleOptions,
} from '../../../../lib/index.js';
import {
  AlwaysOnSampler,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  NodeTracerProvider,
} from '@opentelemetry/sdk-trace-node';
import { logSink } from '../../../../lib/audit/index.js';
import { RealtimeAdminModule } from '../../../../lib/admin/index.js';
import { RealtimeHealthIndicator, RealtimeHealthModule } from '../../../../lib/health/index.js';
import { realtimeHooks, webhookTarget } from '../../../../lib/hooks/index.js';
import { openTelemetry } from '../../../../lib/tracing/index.js';
import { repeatsAndBursts } from '../../../../lib/moderation/index.js';

const RANDOM = 'Zk3v0Qy7wXn1Lr9Tb5Hs2Jd8Gf4Mc6Pa';
const OTHER = 'b7Rw2Xk9Vq4Ns1Ld6Ty8Hj3Gm5Fc0PzE';

/** What is corrected, by check and outcome: `transport.tls/open`. */
export type Fixes = ReadonlySet<string>;

class OpenGuard implements CanActivate {
  canActivate(): boolean {
    return true;
  }
}

class StaffGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.switchToHttp().getRequest<{ staff?: string }>().staff !== undefined;
  }
}

@Controller('health')
class HealthController {
  constructor(readonly indicator: RealtimeHealthIndicator) {}
}

/** Everybody reads, and whoever comes back has nothing. */
function lobby(fixes: Fixes) {
  const isKept = fixes.has('channels.delivery/forgets');
  const options = {
    history: isKept ? ({ ttl: '1h' } as const) : (false as const),
    overflow: fixes.has('channels.delivery/drops') ? ('disconnect' as const) : ('drop-oldest' as const),
  };
  class Lobby {
    @OnRequest('create')
    create(): void {}
  }
  Channel('lobby', options)(Lobby);
  if (fixes.has('channels.read/world')) Authorize('subscribe')(Lobby.prototype, 'read', readerOf(Lobby));
  else PublicChannel()(Lobby);
  if (fixes.has('channels.requests/world'))
    Authorize('request')(Lobby.prototype, 'ask', readerOf(Lobby, 'ask'));
  if (fixes.has('channels.delivery/forgets')) {
    // With history, a snapshot is all that is left to ask for.
    Snapshot()(Lobby.prototype, 'state', readerOf(Lobby, 'state'));
  }
  return Lobby;
}

/** Adds a method that looks at who calls. */
function readerOf(type: { readonly prototype: object }, name = 'read'): PropertyDescriptor {
  const value = (user: unknown): boolean => user !== undefined;
  const descriptor = { value, writable: true, configurable: true, enumerable: false };
  Object.defineProperty(type.prototype, name, descriptor);
  RealtimeUser('id')(type.prototype, name, 0);
  return Object.getOwnPropertyDescriptor(type.prototype, name) as PropertyDescriptor;
}

/** Everybody writes. */
@Channel('rooms.:room', { dedupe: false, history: { ttl: '30s' } })
class CarelessRooms {
  @Authorize('subscribe', 'publish')
  anybody(): boolean {
    return true;
  }

  @OnPublish('said')
  said(): void {}
}

@Channel('rooms.:room')
class Rooms {
  @Authorize('subscribe', 'publish')
  member(@RealtimeUser('id') user: string, @ChannelParam('room') room: string): boolean {
    return user === room;
  }

  @OnPublish('said')
  said(): void {}

  @Snapshot()
  state(): object {
    return {};
  }
}

/** Rooms with one of its carelessnesses corrected. */
function rooms(fixes: Fixes) {
  const ofRooms = [
    'channels.read/blind',
    'channels.publish/world',
    'channels.delivery/short',
    'channels.delivery/repeats',
  ];
  return ofRooms.some((fix) => fixes.has(fix)) ? Rooms : CarelessRooms;
}

/** A broker whose storage says what it is told to. */
function brokerOf(inspect: () => Promise<readonly StorageWeakness[]>, isShared: boolean) {
  return () => {
    const broker = Object.assign(memoryBroker(), { inspect });
    return isShared
      ? Object.assign(broker, { capabilities: { ...broker.capabilities, durability: 'broker' as const } })
      : broker;
  };
}

export const WEAKNESS: StorageWeakness = {
  problem: 'The storage drops keys.',
  remedy: 'Tell it not to.',
};

/** Events of a channel that is called otherwise, for an address that everybody on the way can read. */
function hooksOf(fixes: Fixes) {
  const fixed = (fix: string): boolean => fixes.has(`operations.hooks/${fix}`);
  const key = Buffer.from(fixed('guessable') ? RANDOM : 'the-secret-of-the-webhooks').toString('base64');
  return realtimeHooks({
    channels: [fixes.has('channels.named/unmatched') ? 'rooms.:room' : 'room.:room'],
    webhooks: [
      webhookTarget({
        secret: `whsec_${key}`,
        ...(fixed('plain')
          ? { url: 'https://hooks.example.com' }
          : { url: 'http://hooks.example.com', allowHttp: true }),
        ...(fixed('brief') ? {} : { maxAge: '10s' as const }),
        ...(fixed('slow') ? {} : { timeout: '1m' as const }),
      }),
    ],
  });
}

/** Without an SDK, or with one that samples all: one cannot be both. */
function tracingOf(fixes: Fixes, hasSdk: boolean) {
  const fixed = (fix: string): boolean => fixes.has(`operations.tracing/${fix}`);
  if (!hasSdk && !fixed('absent')) return openTelemetry();
  const sampler =
    hasSdk && !fixed('all')
      ? new AlwaysOnSampler()
      : new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(0.01) });
  return openTelemetry({ tracerProvider: new NodeTracerProvider({ sampler }) });
}

/** What is never reached, or always; only one of both, or nothing. */
function sheddingOf(fixes: Fixes, { away = false, shared = false }: Variant): RealtimeModuleOptions {
  const fixed = (fix: string): boolean => fixes.has(`operations.shedding/${fix}`);
  if (away) return fixed('never') ? {} : { shedding: { memoryLimit: 2 ** 50 } };
  if (shared) return fixed('nervous') ? {} : { shedding: { queueAge: '100ms' } };
  return fixed('off') ? {} : { shedding: false };
}

/** How an application is careless where one cannot be so in both ways. */
export interface Variant {
  /** Whether the storage does not answer, instead of being weak. */
  readonly away?: boolean;
  /** Whether the broker is for several nodes. */
  readonly shared?: boolean;
  readonly more?: Partial<RealtimeModuleOptions>;
}

function optionsOf(
  fixes: Fixes,
  { away = false, shared = false, more = {} }: Variant,
): RealtimeModuleOptions {
  const fixed = (fix: string): boolean => fixes.has(fix);
  const inspect = away
    ? () =>
        fixed('broker.reach/away') ? Promise.resolve([]) : Promise.reject(new Error('connect ECONNREFUSED'))
    : () => Promise.resolve(fixed('broker.server/weak') ? [] : [WEAKNESS]);
  return {
    ...(fixed('transport.kinds/alone') ? {} : { transports: { httpSessions: false } }),
    ...(fixed('transport.heartbeat/cut')
      ? {}
      : { proxyIdleTimeout: false, heartbeat: { interval: '5m', timeout: '10s' } }),
    ...(fixed('transport.tls/open') ? { requireTls: true, trustProxy: 1 } : {}),
    ...(fixed('transport.origins/missing') ? { allowedOrigins: 'https://app.example.com' } : {}),
    ...(fixed('transport.hosts/any') ? { allowedHosts: ['app.example.com'] } : {}),
    ...(fixed('transport.keep-alive/unseen') ? { trustProxy: false } : {}),
    ...(fixed('transport.proxies/unset') ? { trustProxy: ['10.0.0.0/8'] } : {}),
    ...(fixed('transport.query-token/on') ? {} : { queryToken: 'token' }),
    ...(fixed('transport.compression/on') ? {} : { compression: true }),
    auth: {
      jwt: {
        secret: fixed('access.secrets/short') ? RANDOM : 'secret',
        ...(fixed('access.tokens/unbound') ? { audience: 'https://api.example.com' } : {}),
      },
      anonymous: !fixed('access.connect/beside'),
    },
    ...(fixed('access.tickets/single') || fixed('access.tickets/random') ? { ticketSecret: OTHER } : {}),
    ...(fixed('broker.durability/process')
      ? { broker: brokerOf(inspect, true) }
      : { broker: brokerOf(inspect, shared) }),
    limits: {
      ...(fixed('limits.clients/off') ? {} : { maxConnectionsPerUser: 0 }),
    },
    abuse: fixed('limits.abuse/back') ? {} : { ban: 0 },
    ...(fixed('limits.spam/unjudged') ? { moderation: { spam: { detector: repeatsAndBursts() } } } : {}),
    ...(fixed('operations.metrics/blind') ? { observers: [{ onAct: () => undefined }] } : {}),
    drain: {
      ...(fixed('operations.drain/killed') ? {} : { deadline: '1m' }),
      ...(fixed('operations.drain/burst') ? {} : { spread: 0 }),
    },
    ...(fixed('operations.rotation/hasty')
      ? { maxConnectionAge: fixed('operations.rotation/never') ? '1h' : 0 }
      : { maxConnectionAge: '1m' }),
    ...sheddingOf(fixes, { away, shared }),
    hooks: hooksOf(fixes),
    tracing: tracingOf(fixes, shared),
    ...(fixed('operations.audit/forgotten') ? { audit: { sinks: [logSink(), TABLE] } } : {}),
    ...more,
  };
}

/** What all nodes share. */
const TABLE = { name: 'table', write: () => undefined, read: () => ({ entries: [] }) };

/** An application that nobody looked at before, with what is corrected of it. */
export function carelessModule(fixes: Fixes = new Set(), variant: Variant = {}): DynamicModule {
  const Lobby = lobby(fixes);
  const Room = rooms(fixes);
  const isHealthy = fixes.has('operations.health/missing');
  @Module({})
  class CarelessModule {}
  return {
    module: CarelessModule,
    imports: [
      RealtimeModule.forRoot(optionsOf(fixes, variant)),
      RealtimeAdminModule.forRoot({
        guards: [fixes.has('access.admin/open') ? StaffGuard : OpenGuard],
        authorityOf: fixes.has('access.admin/equal')
          ? (request) => (request === undefined ? undefined : 'read')
          : () => 'administer',
        by: fixes.has('access.admin/nameless') ? (request) => String(request) : () => 'admin',
      }),
      ...(isHealthy ? [RealtimeHealthModule] : []),
    ],
    controllers: isHealthy ? [HealthController] : [],
    providers: [Lobby, Room],
  };
}
