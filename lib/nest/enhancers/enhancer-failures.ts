import { HttpException, type CallHandler, type CanActivate, type NestInterceptor } from '@nestjs/common';
import { WsException } from '@nestjs/websockets';
import { catchError, isObservable, lastValueFrom, type Observable } from 'rxjs';
import type { EngineLogger } from '../../core/ports/logger.js';
import { isPromise } from '../../core/ports/maybe-promise.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { isRecord } from '../../protocol/validation/checks.js';

/** Where the guide says how enhancers that were written for HTTP are used. */
const GUIDE = 'nestjs-realtime/docs/guide.md#bring-your-existing-guards-filters-and-throttler';

/**
 * Knows which guard, interceptor or filter an unexpected error came from, and says so in the log: one that was written for
 * HTTP fails on a socket in the middle of its own code, which the handler's name does not explain.
 */
export class EnhancerFailures {
  private readonly enhancerByError = new WeakMap<object, object>();
  private readonly hinted = new Map<object, Set<string>>();

  constructor(private readonly logger: EngineLogger) {}

  /** Notes that an error came from an enhancer, unless one further inside threw it. */
  note(error: unknown, enhancer: object): void {
    if (!isUnexpected(error) || this.enhancerByError.has(error)) return;
    this.enhancerByError.set(error, enhancer);
  }

  /** Logs, once for each enhancer and handler, what to do about an error that an enhancer threw. */
  explain(error: unknown, source: string, action: string): void {
    const enhancer = isUnexpected(error) ? this.enhancerByError.get(error) : undefined;
    if (enhancer === undefined) return;
    const sources = this.hinted.get(enhancer) ?? new Set();
    if (sources.has(source)) return;
    this.hinted.set(enhancer, sources.add(source));
    const name = enhancer.constructor.name;
    this.logger.warn(
      `${name} failed on ${source} (${action}): ${String((error as Error).message)}. If it was written for HTTP: here ` +
        "context.getType() is 'ws', the request is the connection, and the response sends nothing. Let it return early " +
        `for that type, or set globalEnhancers: false if it is global (${GUIDE})`,
    );
  }

  /** The same guard, whose errors are noted. */
  watchGuard(guard: CanActivate): CanActivate {
    const fail = (error: unknown): never => {
      this.note(error, guard);
      throw error;
    };
    return {
      canActivate: (context) => {
        try {
          const verdict = guard.canActivate(context);
          if (isPromise(verdict)) return verdict.then<boolean, never>(decided, fail);
          return isObservable(verdict) ? decided(verdict).catch(fail) : verdict;
        } catch (error) {
          return fail(error);
        }
      },
    };
  }

  /** The same interceptor, whose errors are noted, as far as the handler did not throw them. */
  watchInterceptor(interceptor: NestInterceptor): NestInterceptor {
    return {
      intercept: (context, next) => {
        const below = new Set<unknown>();
        const fail = (error: unknown): never => {
          if (!below.has(error)) this.note(error, interceptor);
          throw error;
        };
        const watched = (stream: Observable<unknown>): Observable<unknown> =>
          isObservable(stream) ? stream.pipe(catchError(fail)) : stream;
        const handler: CallHandler<unknown> = {
          handle: () =>
            (next as CallHandler<unknown>).handle().pipe(
              catchError((error: unknown) => {
                below.add(error);
                throw error;
              }),
            ),
        };
        try {
          const result = interceptor.intercept(context, handler);
          return isPromise(result) ? result.then(watched, fail) : watched(result);
        } catch (error) {
          return fail(error);
        }
      },
    };
  }
}

/** A guard's answer. One that ends without any refuses, as one that says `false`. */
async function decided(verdict: boolean | Observable<boolean>): Promise<boolean> {
  return isObservable(verdict) ? lastValueFrom(verdict, { defaultValue: false }) : verdict;
}

/** Whether an error is none that an enhancer throws on purpose. */
function isUnexpected(error: unknown): error is object {
  if (!isRecord(error)) return false;
  return !(error instanceof HttpException || error instanceof WsException || error instanceof RealtimeError);
}
