import { withTimeout } from '../async/with-timeout.js';
import type { ChannelRegistry } from '../channel/registry.js';
import type { HandlerCall } from '../ports/channel-definition.js';
import { attempt, type MaybePromise } from '../ports/maybe-promise.js';
import type { EnginePorts } from '../ports/settings.js';

/** Runs the application's hooks. No client waits for them, so a failure is logged, not answered. */
export class LifecycleHooks {
  constructor(
    private readonly channels: ChannelRegistry,
    private readonly ports: Pick<EnginePorts, 'clock' | 'logger' | 'settings'>,
  ) {}

  /**
   * Runs the `@OnUnsubscribe` of a channel whose subscription ended. It is not given the parameters of the subscribe: they are not
   * kept for it.
   */
  unsubscribed(call: HandlerCall): void {
    const hook = this.channels.find(call.channel)?.definition.behaviour.onUnsubscribe;
    if (hook !== undefined)
      this.runHook(hook, call.payload === undefined ? call : { ...call, payload: undefined });
  }

  runHook(hook: (call: HandlerCall) => MaybePromise<void>, call: HandlerCall): void {
    const { clock, logger, settings } = this.ports;
    const report = (error: unknown): void =>
      logger.error(`A life-cycle hook failed on connection ${call.connection.id}`, error);
    void attempt(
      () => withTimeout(hook(call), settings.handlerTimeoutMs, clock),
      () => undefined,
      report,
    );
  }
}
