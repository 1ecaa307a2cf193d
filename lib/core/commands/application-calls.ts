import type { Circuits, OpenCode } from '../access/circuits.js';
import { OverdueError } from '../async/overdue-error.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { HandlerCall } from '../ports/channel-definition.js';
import { clientNetwork } from '../ports/ip-address.js';
import type { LogSubject } from '../ports/logger.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';
import type { EnginePorts } from '../ports/settings.js';
import { anonymousOf } from '../ports/user-id.js';
import { weightOf } from '../ports/value-weight.js';
import type { SessionRegistry } from '../session/registry.js';

export interface ApplicationCallsDeps extends Pick<EnginePorts, 'clock' | 'settings' | 'tracer'> {
  readonly journal: ThrottledLog;
  readonly sessions: Pick<SessionRegistry, 'find'>;
  readonly circuits: Pick<Circuits, 'guard'>;
}

/** What the application's code is called for. */
export interface ApplicationCall {
  readonly connection: { readonly id: string; readonly about?: LogSubject };
  /** What it was given. */
  readonly payload?: unknown;
  readonly meta?: unknown;
}

/**
 * Limits the time that the application's code may take: handlers, authorizers, snapshots, hooks. Code that takes longer is
 * given up, not ended: it runs on, and so it counts among the commands of its connection until it really ends (G16).
 */
export class ApplicationCalls {
  constructor(private readonly deps: ApplicationCallsDeps) {}

  /**
   * @param what of the application is called, in its own words, e.g. `@OnPublish('said') of rooms.:room`.
   * @param call for which it is called.
   * @param code that the client gets when the time is over. A client sends again what is answered with `timeout`.
   * @throws RealtimeError with that code after `handlerTimeout`.
   */
  limit<T>(
    work: MaybePromise<T>,
    call: ApplicationCall,
    what: () => string,
    code: 'timeout' | 'outcome_unknown' = 'timeout',
  ): MaybePromise<T> {
    if (!isPromise(work)) return work;
    const { clock, settings, sessions } = this.deps;
    // Found now: the connection may have ended by then, and what runs on counts for its client nevertheless.
    const flow = sessions.find(call.connection.id)?.flow;
    return new Promise<T>((resolve, reject) => {
      let onEnd: (() => void) | undefined;
      const timer = clock.schedule(settings.handlerTimeoutMs, () => {
        const ended = new Promise<void>((resolveEnd) => (onEnd = resolveEnd));
        flow?.holdUntil(ended, weightOf(call.payload) + weightOf(call.meta));
        this.warn(what(), code, call.connection.about);
        reject(new OverdueError(code, 'The server had no answer in time'));
      });
      const afterEnd =
        <V>(next: (value: V) => void) =>
        (value: V): void => {
          timer.cancel();
          onEnd?.();
          next(value);
        };
      // Once: the `then` of a query builder runs the query.
      work.then(afterEnd(resolve), afterEnd(reject));
    });
  }

  /**
   * The same of a handler or an authorization, which is not called while its circuit is open (G16).
   *
   * @param handler by which its circuit is known.
   * @param openCode of the refusal then.
   * @param begin calls it.
   */
  guard<T>(
    handler: object,
    call: HandlerCall,
    what: () => string,
    openCode: OpenCode,
    begin: () => MaybePromise<T>,
    code?: 'timeout' | 'outcome_unknown',
  ): MaybePromise<T> {
    const clientOf = (): string =>
      call.user?.id ?? anonymousOf(clientNetwork(call.connection.ip, this.deps.settings.limits.ipv6Prefix));
    const { circuits, tracer } = this.deps;
    // An authorization can be asked again at any time; a handler has an effect.
    const kind = openCode === 'unavailable' ? 'authorize' : 'handle';
    return circuits.guard(handler, clientOf, what, openCode, () =>
      this.limit(tracer === undefined ? begin() : tracer.called(kind, what, begin), call, what, code),
    );
  }

  private warn(name: string, code: string, about: LogSubject | undefined): void {
    const { journal, settings } = this.deps;
    journal.warn(
      `timeout ${name}`,
      () =>
        `${name} took longer than ${settings.handlerTimeoutMs} ms (handlerTimeout), which counts as ${code}; ` +
        'it still runs, and counts for its connection until it ends. Give its own calls a shorter time-out',
      about,
    );
  }
}
