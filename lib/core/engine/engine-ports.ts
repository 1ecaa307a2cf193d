import { TimedVerifier } from '../access/verifier.js';
import { ThrottledLog } from '../async/throttled-log.js';
import type { EngineOptions, EnginePorts } from '../ports/settings.js';
import { combineObservers } from './observers.js';

/** What the parts of an engine are built on, traced where that is wanted, and the log of what clients can cause. */
export function enginePorts(options: EngineOptions): EnginePorts & { readonly journal: ThrottledLog } {
  const { broker, settings, entropy, logger, onConnect, observers = [], tracer } = options;
  const clock = tracer?.clock ?? options.clock;
  const observer = combineObservers(
    tracer === undefined ? observers : [tracer.observer, ...observers],
    logger,
  );
  const { log, bus, presence: members } = broker;
  const journal = new ThrottledLog(logger, clock);
  const inner = tracer?.authenticatorOf(options.authenticator) ?? options.authenticator;
  const authenticator = new TimedVerifier(inner, clock, journal);
  return {
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
    journal,
  };
}
