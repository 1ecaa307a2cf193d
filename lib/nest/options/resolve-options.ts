import { randomBytes } from 'node:crypto';
import type { Type } from '@nestjs/common';
import { memoryBroker } from '../../brokers/memory/index.js';
import type { Broker } from '../../core/ports/broker.js';
import type { RealtimeConsumer } from '../../core/ports/consumers.js';
import type { Observer } from '../../core/ports/observer.js';
import type { RealtimeTracing } from '../../core/ports/tracer.js';
import type { LimitsForUser } from '../../core/ports/user-limits.js';
import { systemEntropy } from '../../core/ports/entropy.js';
import type { EngineSettings, InboundLimits } from '../../core/ports/settings.js';
import { BootProblems } from '../errors/realtime-boot-error.js';
import type { RealtimeHooks } from '../hooks.js';
import type { RealtimeConnectHook, RealtimeModuleOptions } from '../realtime-options.js';
import { resolveAudit, resolveObservers, type AuditConfig } from './audit-options.js';
import { resolveAuth, type AuthConfig } from './auth-options.js';
import { resolveConsumers } from './consumer-options.js';
import { resolveShedding, type SheddingConfig } from './shedding-options.js';
import { resolveModeration, type ModerationConfig } from './moderation-options.js';
import { reportTooOften } from './recheck.js';
import { OptionReader } from './option-reader.js';
import { MODULE_TABLE } from './option-table.js';
import { resolveTransport, type TransportConfig } from './transport-options.js';

/** Injection token of the validated options, a {@link RealtimeConfig}. */
export const REALTIME_CONFIG = Symbol('REALTIME_CONFIG');

/** The module's options after validation: every default is filled in, every duration is in milliseconds. */
export interface RealtimeConfig extends ModerationConfig {
  readonly auth: AuthConfig;
  readonly transport: TransportConfig;
  /** Whether plain streams are served at a path of their own. */
  readonly sse: boolean;
  /** Whether client libraries may hold sessions over HTTP. */
  readonly httpSessions: boolean;
  readonly settings: EngineSettings;
  readonly limitsForUser: LimitsForUser | undefined;
  readonly audit: AuditConfig;
  /** Those of the application. */
  readonly observers: readonly Observer[];
  readonly tracing: RealtimeTracing | undefined;
  readonly hooks: RealtimeHooks | undefined;
  readonly consumers: readonly RealtimeConsumer[];
  readonly broker: () => Broker;
  readonly publisherOnly: boolean;
  /** Whether the application's global guards, interceptors and pipes run on channels and at connect. */
  readonly globalEnhancers: boolean;
  readonly connect: Type<RealtimeConnectHook> | undefined;
  readonly drainDeadlineMs: number;
  /** `undefined` where this node sheds no load. */
  readonly shedding: SheddingConfig | undefined;
  /** Silence after which a proxy cuts; `false` where the application says that there is none. */
  readonly proxyIdleMs: number | false;
  /** Whether this process made the ticket secret itself. */
  readonly randomTicketSecret: boolean;
}

/**
 * Validates the options of `forRoot` and `forRootAsync`, and fills in every default.
 *
 * @throws RealtimeBootError with every mistake at once.
 */
export function resolveModuleOptions(options: RealtimeModuleOptions | undefined): RealtimeConfig {
  const problems = new BootProblems();
  const reader = OptionReader.of(options, '', problems);
  const {
    audit: _audit,
    auth: _auth,
    drain: _drain,
    proxyIdleTimeout: _proxy,
    limits: _limits,
    moderation: _moderation,
    shedding: _shedding,
    ...plain
  } = MODULE_TABLE;
  const {
    path,
    queryToken,
    requireTls,
    publisherOnly,
    transports,
    globalEnhancers,
    nodeId,
    ticketSecret,
    ...numbers
  } = reader.all(plain);
  const auth = resolveAuth(reader.value('auth'), problems);
  const drain = resolveDrain(reader.object('drain'));
  const limits = resolveLimits(reader.object('limits'));
  const config: RealtimeConfig = {
    auth: auth.config,
    transport: resolveTransport(reader, { path, queryToken, requireTls, cookie: auth.cookie }),
    sse: transports.sse,
    httpSessions: transports.httpSessions ?? transports.sse,
    settings: {
      ...numbers,
      limits: limits.numbers,
      nodeId: nodeId ?? systemEntropy.token(),
      ticketSecret: ticketSecret ?? randomBytes(32).toString('base64url'),
      anonymous: auth.anonymous,
      authRequiredAheadMs: auth.requiredAheadMs,
      drainSpreadMs: drain.spreadMs,
    },
    limitsForUser: limits.forUser,
    audit: resolveAudit(reader),
    observers: resolveObservers(reader),
    hooks: reader.checked(
      'hooks',
      isHooks,
      'is not what realtimeHooks() makes.',
      'Give realtimeHooks({ … }) of nestjs-realtime/hooks.',
    ),
    consumers: resolveConsumers(reader),
    ...resolveModeration(reader.object('moderation')),
    tracing: reader.checked(
      'tracing',
      isTracing,
      'cannot trace.',
      'Give openTelemetry() of nestjs-realtime/tracing, or leave it out.',
    ),
    broker: resolveBroker(reader),
    publisherOnly,
    globalEnhancers,
    connect: reader.checked(
      'connect',
      isConnectHook,
      'is not a class with an onConnect() method.',
      'Give a class that implements RealtimeConnectHook.',
    ),
    drainDeadlineMs: drain.deadlineMs,
    shedding: resolveShedding(reader),
    proxyIdleMs: resolveProxyIdle(reader),
    randomTicketSecret: ticketSecret === undefined,
  };
  checkTogether(reader, config.settings, config.proxyIdleMs);
  reportTooOften(reader, config.settings.recheckMs);
  reader.end();
  problems.throwIfAny();
  return config;
}

function resolveLimits(reader: OptionReader): {
  readonly numbers: InboundLimits;
  readonly forUser: LimitsForUser | undefined;
} {
  const numbers = reader.all(MODULE_TABLE.limits);
  const forUser = reader.checked(
    'forUser',
    isLimitsForUser,
    'is not a function.',
    'Give a function that returns the limits of a user at once.',
  );
  reader.end();
  return { numbers, forUser };
}

function resolveDrain(reader: OptionReader): { readonly deadlineMs: number; readonly spreadMs: number } {
  const { deadline, spread } = MODULE_TABLE.drain;
  const deadlineMs = reader.one('deadline', deadline);
  const spreadMs = reader.one('spread', { ...spread, default: Math.min(spread.default, deadlineMs) });
  if (spreadMs > deadlineMs) {
    reader.report(
      'spread',
      'is longer than drain.deadline.',
      'Clients would be cut before they leave: make it shorter.',
    );
  }
  reader.end();
  return { deadlineMs, spreadMs };
}

function resolveProxyIdle(reader: OptionReader): number | false {
  return (
    reader.value('proxyIdleTimeout') !== false &&
    reader.one('proxyIdleTimeout', MODULE_TABLE.proxyIdleTimeout)
  );
}

function resolveBroker(reader: OptionReader): () => Broker {
  const broker = reader.checked(
    'broker',
    isBrokerOption,
    'is not a broker.',
    'Give memoryBroker(), another broker, or a function that returns one.',
  );
  if (typeof broker === 'function') return broker;
  // Without the option each application gets its own: two applications in one process share nothing.
  return () => broker ?? memoryBroker();
}

/** Whether a value implements the port. */
export function isBroker(value: unknown): value is Broker {
  const broker = value as Partial<Broker> | null | undefined;
  return typeof broker?.log?.appendMany === 'function' && typeof broker.capabilities === 'object';
}

function isBrokerOption(value: unknown): value is Broker | (() => Broker) {
  return typeof value === 'function' || isBroker(value);
}

function isTracing(value: unknown): value is RealtimeTracing {
  return typeof (value as Partial<RealtimeTracing> | null | undefined)?.start === 'function';
}

function isLimitsForUser(value: unknown): value is LimitsForUser {
  return typeof value === 'function';
}

function isHooks(value: unknown): value is RealtimeHooks {
  return typeof (value as Partial<RealtimeHooks> | null | undefined)?.open === 'function';
}

function isConnectHook(value: unknown): value is Type<RealtimeConnectHook> {
  const prototype: unknown = typeof value === 'function' ? value.prototype : undefined;
  return typeof (prototype as Partial<RealtimeConnectHook> | undefined)?.onConnect === 'function';
}

/** Reports options that contradict each other. */
function checkTogether(
  reader: OptionReader,
  { limits, retry, heartbeat, circuits, abuse }: EngineSettings,
  idleMs: number | false,
): void {
  if (abuse.authHoldMs > abuse.authHoldMaxMs)
    reader.report('abuse.authHold', 'is longer than abuse.authHoldMax.', 'It grows from one to the other.');
  if (circuits.openForMs > circuits.maxOpenForMs)
    reader.report(
      'circuits.openFor',
      'is longer than circuits.maxOpenFor.',
      'It grows from one to the other.',
    );
  if (limits.maxMessageBytes > limits.maxFrameBytes) {
    reader.report(
      'limits.maxMessageBytes',
      'is larger than limits.maxFrameBytes.',
      'A message must fit into a frame.',
    );
  }
  // The byte budget of a connection holds at most two seconds.
  if (limits.maxFrameBytes > limits.bytesPerSecond * 2) {
    reader.report(
      'limits.maxFrameBytes',
      'is more than twice limits.bytesPerSecond, so a frame of that size would always be refused.',
      'Lower it, or raise limits.bytesPerSecond.',
    );
  }
  if (limits.maxUnfinishedBytes < limits.maxFrameBytes) {
    reader.report(
      'limits.maxUnfinishedBytes',
      'is less than limits.maxFrameBytes, so a client that sends a frame of that size would be closed.',
      'Raise it, or lower limits.maxFrameBytes.',
    );
  }
  if (retry.baseMs > retry.maxMs)
    reader.report('retry.base', 'is longer than retry.max.', 'Backoff grows from base to max.');
  if (idleMs === false) return;
  // A ping may be on its way for as long as the heartbeat's timeout; until it arrives, the proxy sees an idle connection.
  // Plain streams are silent for less: they are sent a comment after the interval, and nothing is waited for.
  const silenceMs = heartbeat.intervalMs + heartbeat.timeoutMs;
  if (silenceMs < idleMs) return;
  reader.report(
    'heartbeat',
    `leaves ${silenceMs} ms of silence (interval ${heartbeat.intervalMs} + timeout ${heartbeat.timeoutMs}), and a proxy cuts after ${idleMs} ms.`,
    'Shorten heartbeat.interval, or set proxyIdleTimeout to what your proxies really allow (false for none).',
  );
}
