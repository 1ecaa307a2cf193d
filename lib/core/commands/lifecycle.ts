import type { HandlerCall } from '../ports/channel-definition.js';
import type { EngineContext } from '../engine/context.js';
import { bounded } from '../async/with-timeout.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';

/** Runs the `@OnUnsubscribe` of a channel that ended. */
export function notifyUnsubscribed(context: EngineContext, call: HandlerCall): void {
  const hook = context.channels.find(call.channel)?.definition.behaviour.onUnsubscribe;
  if (hook !== undefined) notify(context, hook, call);
}

/** Runs a life-cycle hook of the application. Nobody waits for it, so its failure is logged, not answered. */
export function notify(
  context: EngineContext,
  hook: (call: HandlerCall) => MaybePromise<void>,
  call: HandlerCall,
): void {
  const report = (error: unknown): void =>
    context.logger.error(`A life-cycle hook failed on connection ${call.connection.id}`, error);
  try {
    const result = bounded(hook(call), context.settings.handlerTimeoutMs, context.clock);
    if (isPromise(result)) result.catch(report);
  } catch (error) {
    report(error);
  }
}
