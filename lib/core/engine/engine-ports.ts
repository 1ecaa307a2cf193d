import { TimedVerifier } from '../access/verifier.js';
import { RetryQueue } from '../async/retry-queue.js';
import { ThrottledLog } from '../async/throttled-log.js';
import type { EngineOptions, EnginePorts } from '../ports/settings.js';
import { holdsOf, type Holds } from './holds.js';
import { combineObservers } from './observers.js';

/** What the parts of an engine are built on, and what these ports need themselves. */
export interface EngineGround {
  readonly ports: EnginePorts;
  /** The log of what clients can cause. */
  readonly journal: ThrottledLog;
  readonly retries: RetryQueue;
  readonly holds: Holds | undefined;
}

/** Makes the ports of an engine: traced and observed, where that is wanted. */
export function enginePorts(options: EngineOptions): EngineGround {
  const { broker, settings, entropy, logger, onConnect, observers = [], tracer } = options;
  const clock = tracer?.clock ?? options.clock;
  const observer = combineObservers(
    tracer === undefined ? observers : [tracer.observer, ...observers],
    logger,
  );
  const { log, bus, presence } = broker;
  const journal = new ThrottledLog(logger, clock);
  const inner = tracer?.authenticatorOf(options.authenticator) ?? options.authenticator;
  const authenticator = new TimedVerifier(inner, clock, journal);
  const retries = new RetryQueue(clock);
  const { presenceLeaseMs: leaseMs } = settings;
  const holds = holdsOf(options.holds, broker, { clock, entropy, retries, journal, leaseMs });
  const members = holds?.members ?? presence;
  const ports: EnginePorts = {
    log,
    bus,
    members,
    authenticator,
    ...(onConnect === undefined ? {} : { onConnect }),
    settings,
    clock,
    entropy,
    logger,
    observer,
    tracer,
  };
  return { ports, journal, retries, holds };
}
