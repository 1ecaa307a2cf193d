import { randomBytes } from 'node:crypto';
import type { Type } from '@nestjs/common';
import { memoryBroker } from '../../brokers/memory/index.js';
import { ENGINE_DEFAULTS } from '../../core/ports/settings-defaults.js';
import type { EngineSettings } from '../../core/ports/settings.js';
import type { Broker } from '../../core/ports/broker.js';
import { systemEntropy } from '../../core/ports/entropy.js';
import { MIN_ENVELOPES_PER_FRAME } from '../../protocol/limits.js';
import { BootProblems } from '../errors/realtime-boot-error.js';
import type { RealtimeConnectHook, RealtimeModuleOptions } from '../realtime-options.js';
import { resolveAuth } from './auth-config.js';
import { OptionReader } from './option-reader.js';
import type { RealtimeConfig } from './realtime-config.js';
import { resolveTransport } from './transport-config.js';

const DEFAULT_PROXY_IDLE_MS = 60_000;
const DEFAULT_DRAIN_DEADLINE_MS = 10_000;

/**
 * Validates the module's options and fills in every default. The one place where this happens, so `forRoot` and
 * `forRootAsync` cannot differ.
 *
 * @throws RealtimeBootError with every mistake at once.
 */
export function resolveOptions(options: RealtimeModuleOptions | undefined): RealtimeConfig {
  const problems = new BootProblems();
  const reader = OptionReader.of(options, '', problems);
  const auth = resolveAuth(reader.value('auth'), ENGINE_DEFAULTS.authRequiredAheadMs, problems);
  const ticketSecret = reader.text('ticketSecret', { min: 32, max: 1_024 });
  const drain = reader.object('drain');
  const drainDeadlineMs = drain.duration('deadline', DEFAULT_DRAIN_DEADLINE_MS);
  const drainSpreadMs = drain.duration('spread', Math.min(ENGINE_DEFAULTS.drainSpreadMs, drainDeadlineMs));
  if (drainSpreadMs > drainDeadlineMs) {
    drain.report(
      'spread',
      'is longer than drain.deadline.',
      'Clients would be cut before they leave: make it shorter.',
    );
  }
  drain.end();

  const config: RealtimeConfig = {
    auth: auth.config,
    transport: resolveTransport(reader, auth.cookieName),
    settings: {
      ...resolveSettings(reader),
      nodeId: reader.text('nodeId', { max: 64 }) ?? systemEntropy.token(),
      ticketSecret: ticketSecret ?? randomBytes(32).toString('base64url'),
      anonymous: auth.anonymous,
      authRequiredAheadMs: auth.requiredAheadMs,
      drainSpreadMs,
    },
    broker: resolveBroker(reader),
    publisherOnly: reader.flag('publisherOnly', false),
    connect: resolveConnect(reader),
    drainDeadlineMs,
    randomTicketSecret: ticketSecret === undefined,
  };
  checkHeartbeat(reader, config.settings);
  reader.end();
  problems.throwIfAny();
  return config;
}

type Numbers = Omit<
  EngineSettings,
  'nodeId' | 'ticketSecret' | 'anonymous' | 'authRequiredAheadMs' | 'drainSpreadMs'
>;

function resolveSettings(reader: OptionReader): Numbers {
  const d = ENGINE_DEFAULTS;
  const limits = reader.object('limits');
  const abuse = reader.object('abuse');
  const outbox = reader.object('outbox');
  const heartbeat = reader.object('heartbeat');
  const retry = reader.object('retry');
  const settings: Numbers = {
    applicationName: reader.text('applicationName', { max: 64 }) ?? d.applicationName,
    helloTimeoutMs: reader.duration('helloTimeout', d.helloTimeoutMs, { min: 100 }),
    handlerTimeoutMs: reader.duration('handlerTimeout', d.handlerTimeoutMs, { min: 1 }),
    heartbeat: {
      intervalMs: heartbeat.duration('interval', d.heartbeat.intervalMs, { min: 1_000 }),
      timeoutMs: heartbeat.duration('timeout', d.heartbeat.timeoutMs, { min: 100 }),
    },
    retry: {
      baseMs: retry.duration('base', d.retry.baseMs, { min: 1 }),
      maxMs: retry.duration('max', d.retry.maxMs, { min: 1 }),
      firstSpreadMs: retry.duration('firstSpread', d.retry.firstSpreadMs),
      stableMs: retry.duration('stable', d.retry.stableMs),
    },
    limits: {
      maxFrameBytes: limits.integer('maxFrameBytes', d.limits.maxFrameBytes, { min: 1_024 }),
      maxMessageBytes: limits.integer('maxMessageBytes', d.limits.maxMessageBytes, { min: 1_024 }),
      maxEnvelopesPerFrame: limits.integer('maxEnvelopesPerFrame', d.limits.maxEnvelopesPerFrame, {
        min: MIN_ENVELOPES_PER_FRAME,
      }),
      maxChannels: limits.integer('maxChannels', d.limits.maxChannels),
      ratePerSecond: limits.integer('ratePerSecond', d.limits.ratePerSecond),
      dedupeMs: limits.duration('dedupe', d.limits.dedupeMs, { min: 1_000 }),
      burst: limits.integer('burst', d.limits.burst),
      bytesPerSecond: limits.integer('bytesPerSecond', d.limits.bytesPerSecond),
      userRatePerSecond: limits.integer('userRatePerSecond', d.limits.userRatePerSecond),
      maxInFlight: limits.integer('maxInFlight', d.limits.maxInFlight),
      maxConnectionsPerAddress: limits.integer('maxConnectionsPerAddress', d.limits.maxConnectionsPerAddress),
      maxConnections: limits.integer('maxConnections', d.limits.maxConnections),
    },
    abuse: {
      throttleAfter: abuse.integer('throttleAfter', d.abuse.throttleAfter),
      closeAfter: abuse.integer('closeAfter', d.abuse.closeAfter),
      windowMs: abuse.duration('window', d.abuse.windowMs, { min: 1 }),
      banMs: abuse.duration('ban', d.abuse.banMs),
    },
    outbox: {
      maxBytes: outbox.integer('maxBytes', d.outbox.maxBytes, { min: 1_024 }),
      maxMessages: outbox.integer('maxMessages', d.outbox.maxMessages),
    },
    maxFlushDelayMs: reader.duration('maxFlushDelay', d.maxFlushDelayMs, { max: 1_000 }),
    lingerMs: reader.duration('linger', d.lingerMs),
    ringSize: reader.integer('ringSize', d.ringSize),
    presenceLeaseMs: reader.duration('presenceLease', d.presenceLeaseMs, { min: 1_000 }),
  };
  if (settings.limits.maxMessageBytes > settings.limits.maxFrameBytes) {
    limits.report(
      'maxMessageBytes',
      'is larger than limits.maxFrameBytes.',
      'A message must fit into a frame.',
    );
  }
  // The bucket of bytes saves up for two seconds.
  if (settings.limits.maxFrameBytes > settings.limits.bytesPerSecond * 2) {
    limits.report(
      'maxFrameBytes',
      'is more than twice limits.bytesPerSecond, so a frame of that size would always be refused.',
      'Lower it, or raise limits.bytesPerSecond.',
    );
  }
  if (settings.retry.baseMs > settings.retry.maxMs) {
    retry.report('base', 'is longer than retry.max.', 'Backoff grows from base to max.');
  }
  for (const part of [limits, abuse, outbox, heartbeat, retry]) part.end();
  return settings;
}

function resolveBroker(reader: OptionReader): () => Broker {
  const broker = reader.value('broker');
  // One for each application: two applications in one process share nothing.
  if (broker === undefined) return () => memoryBroker();
  if (typeof broker === 'function') return broker as () => Broker;
  if (isBroker(broker)) return () => broker;
  reader.report(
    'broker',
    'is not a broker.',
    'Give memoryBroker(), another broker, or a function that returns one.',
  );
  return () => memoryBroker();
}

/** Whether a value implements the port. */
export function isBroker(value: unknown): value is Broker {
  const broker = value as Partial<Broker> | null | undefined;
  return typeof broker?.log?.appendMany === 'function' && typeof broker.capabilities === 'object';
}

function resolveConnect(reader: OptionReader): Type<RealtimeConnectHook> | undefined {
  const connect = reader.value('connect');
  if (connect === undefined) return undefined;
  if (
    typeof connect === 'function' &&
    typeof (connect.prototype as RealtimeConnectHook | undefined)?.onConnect === 'function'
  ) {
    return connect as Type<RealtimeConnectHook>;
  }
  reader.report(
    'connect',
    'is not a class with an onConnect() method.',
    'Give a class that implements RealtimeConnectHook.',
  );
  return undefined;
}

function checkHeartbeat(reader: OptionReader, { heartbeat }: EngineSettings): void {
  if (reader.value('proxyIdleTimeout') === false) return;
  const idleMs = reader.duration('proxyIdleTimeout', DEFAULT_PROXY_IDLE_MS, { min: 1 });
  // A ping may be under way for as long as the heartbeat tolerates; until it arrives, the proxy sees an idle
  // connection.
  const silenceMs = heartbeat.intervalMs + heartbeat.timeoutMs;
  if (silenceMs < idleMs) return;
  reader.report(
    'heartbeat',
    `leaves ${silenceMs} ms of silence (interval ${heartbeat.intervalMs} + timeout ${heartbeat.timeoutMs}), and a proxy cuts after ${idleMs} ms.`,
    'Shorten heartbeat.interval, or set proxyIdleTimeout to what your proxies really allow (false for none).',
  );
}
