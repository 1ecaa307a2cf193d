import type { ChannelRegistry } from '../channel/registry.js';
import type { HandlerCall } from '../ports/channel-definition.js';
import { attempt, type MaybePromise } from '../ports/maybe-promise.js';
import type { EnginePorts } from '../ports/settings.js';
import type { ApplicationCalls } from './application-calls.js';

/** Runs the application's hooks. No client waits for them, so a failure is logged, not answered. */
export class LifecycleHooks {
  constructor(
    private readonly channels: ChannelRegistry,
    private readonly ports: Pick<EnginePorts, 'logger'>,
    private readonly calls: ApplicationCalls,
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
    const { logger } = this.ports;
    const { connection, channel } = call;
    const what = (): string =>
      `A life-cycle hook of ${this.channels.find(channel)?.definition.pattern ?? 'a channel'}`;
    const report = (error: unknown): void =>
      logger.error(`A life-cycle hook failed on connection ${connection.id}`, error, connection.about);
    void attempt(
      () => this.calls.limit(hook(call), call, what),
      () => undefined,
      report,
    );
  }
}
