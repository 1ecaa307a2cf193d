import type { EngineLogger } from '../ports/logger.js';
import { isPromise } from '../ports/maybe-promise.js';
import type { Observer } from '../ports/observer.js';

/** No method of an observer has more details; a rest parameter would be an array for each call. */
type Method = (a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown) => unknown;

const METHODS: Readonly<Record<keyof Observer, true>> = {
  onConnectionOpen: true,
  onConnectionClose: true,
  onRefusal: true,
  onCommandStart: true,
  onCommandEnd: true,
  onRateLimit: true,
  onCircuit: true,
  onAuthorization: true,
  onSpam: true,
  onPublish: true,
  onDelivery: true,
  onDeliveryEnd: true,
  onPublishDelivered: true,
  onSignal: true,
  onSubscribe: true,
  onGap: true,
  onReplay: true,
  onHeal: true,
  onReset: true,
  onBrokerState: true,
  onOverload: true,
  onDrain: true,
  onAct: true,
};

/**
 * One observer that notifies all of them. A method that none has is `undefined` in it, so that a caller neither measures nor
 * makes what nobody observes: `observer.onDelivery?.(…)` does not even evaluate its arguments.
 */
export function combineObservers(observers: readonly Observer[], logger: EngineLogger): Observer {
  const combined: Record<string, Method | undefined> = {};
  for (const name of Object.keys(METHODS) as (keyof Observer)[]) {
    const interested = observers.filter((observer) => observer[name] !== undefined);
    let failed = false;
    const report = (error: unknown): void => {
      if (!failed)
        logger.error(`${name} of an observer failed; further failures of it are not logged`, error);
      failed = true;
    };
    const notify: Method = (a, b, c, d, e) => {
      for (const observer of interested) {
        try {
          const result = (observer as Record<string, Method>)[name]?.(a, b, c, d, e);
          // A method may be `async`, and what it rejects with would end the process.
          if (isPromise(result)) result.then(undefined, report);
        } catch (error) {
          report(error);
        }
      }
    };
    combined[name] = interested.length === 0 ? undefined : notify;
  }
  return combined;
}
