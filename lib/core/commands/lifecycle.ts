import { withTimeout } from '../async/with-timeout.js';
import type { ChannelRegistry } from '../channel/registry.js';
import type { HandlerCall } from '../ports/channel-definition.js';
import type { Clock } from '../ports/clock.js';
import type { EngineLogger } from '../ports/logger.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';

export interface LifecycleDeps {
  readonly channels: ChannelRegistry;
  readonly clock: Clock;
  readonly logger: EngineLogger;
  readonly settings: { readonly handlerTimeoutMs: number };
}

/** Runs the application's hooks. Nobody waits for them, so a failure is logged, not answered. */
export class LifecycleHooks {
  constructor(private readonly deps: LifecycleDeps) {}

  /** The `@OnUnsubscribe` of a channel that ended. */
  unsubscribed(call: HandlerCall): void {
    const hook = this.deps.channels.find(call.channel)?.definition.behaviour.onUnsubscribe;
    if (hook !== undefined) this.runHook(hook, call);
  }

  runHook(hook: (call: HandlerCall) => MaybePromise<void>, call: HandlerCall): void {
    const { clock, logger, settings } = this.deps;
    const report = (error: unknown): void =>
      logger.error(`A life-cycle hook failed on connection ${call.connection.id}`, error);
    try {
      const result = withTimeout(hook(call), settings.handlerTimeoutMs, clock);
      if (isPromise(result)) result.catch(report);
    } catch (error) {
      report(error);
    }
  }
}
