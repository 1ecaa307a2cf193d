import 'reflect-metadata';
import { FILTER_CATCH_EXCEPTIONS } from '@nestjs/common/constants.js';
import type { ExceptionFilter } from '@nestjs/common';
import { isObservable, lastValueFrom } from 'rxjs';
import type { RealtimeConnection } from '../../core/ports/realtime-connection.js';
import { isRecord } from '../../protocol/validation/checks.js';
import type { RealtimeContext } from '../decorators/realtime-context.js';
import type { ErrorMapper, ErrorOrigin } from '../errors/error-mapper.js';
import type { EnhancerFailures } from './enhancer-failures.js';
import type { HandlerTarget } from './handler-target.js';
import { InertResponse } from './inert-response.js';
import { RealtimeExecutionContext } from './realtime-execution-context.js';

type ExceptionType = abstract new (...args: never[]) => unknown;

/** The context of a filter. Filters of gateways emit to their client, those of HTTP write to a response of their own. */
class FilterContext extends RealtimeExecutionContext {
  readonly response = new InertResponse();

  protected override requestOf(): unknown {
    return this.getArgByIndex<RealtimeContext>(2).connection;
  }
  protected override responseOf(): InertResponse {
    return this.response;
  }
}

/**
 * Runs the exception filters of a handler: the method's, then the class's, until one catches the type. Global filters do
 * not run, as in Nest's own gateways: their catch-all is what answers HTTP.
 *
 * The client gets the error that a filter returns, throws, writes to the HTTP response, or emits as `BaseWsExceptionFilter`
 * does. Where the filter does none of these, it gets the original one.
 */
export class FilterRunner {
  private readonly filters: readonly ExceptionFilter[];

  /** @param declared Classes or instances, those of the class before those of the method. */
  constructor(
    private readonly target: HandlerTarget,
    declared: readonly unknown[],
    private readonly mapper: ErrorMapper,
    private readonly failures: EnhancerFailures,
  ) {
    const { injectables } = target.host.module;
    this.filters = [...declared]
      .reverse()
      .map((filter) => (typeof filter === 'function' ? injectables.get(filter)?.instance : filter))
      .filter((filter): filter is ExceptionFilter => isRecord(filter) && typeof filter.catch === 'function');
  }

  /** The error that the client gets for what a handler threw. */
  async run(error: unknown, context: RealtimeContext, origin: ErrorOrigin): Promise<Error> {
    const filter = this.filters.find((one) => catches(one, error));
    if (filter === undefined) return this.mapper.toRealtimeError(error, origin);
    let emitted: unknown;
    const client = emittingClient(context.connection, (body) => (emitted = body));
    const { host, method } = this.target;
    const args = [client, context.payload, context, context.pattern];
    const execution = new FilterContext(args, host.metatype, method);
    execution.setType('ws');
    try {
      const returned: unknown = await filter.catch(error, execution);
      const answer: unknown = isObservable(returned)
        ? await lastValueFrom(returned, { defaultValue: undefined })
        : returned;
      return this.answer(answer ?? emitted, execution.response, error, origin);
    } catch (thrown) {
      if (thrown !== error) this.failures.note(thrown, filter);
      this.failures.explain(thrown, origin.source, context.action);
      return this.mapper.toRealtimeError(thrown, origin);
    }
  }

  private answer(
    answer: unknown,
    { statusCode, body, retryAfterMs }: InertResponse,
    error: unknown,
    origin: ErrorOrigin,
  ): Error {
    if (answer instanceof Error) return this.mapper.toRealtimeError(answer, origin);
    if (typeof answer === 'string' || isBody(answer)) return this.mapper.fromBody(answer, origin, error);
    const advised = retryAfterMs === undefined ? origin : { ...origin, retryAfterMs };
    const written =
      body === undefined ? undefined : this.mapper.fromResponse(statusCode, body, advised, error);
    return written ?? this.mapper.toRealtimeError(error, origin);
  }
}

/** Whether a filter answered with the body of an error. Express filters often return the response that they wrote to. */
function isBody(answer: unknown): answer is Readonly<Record<string, unknown>> {
  return isRecord(answer) && !(answer instanceof InertResponse) && !isUnknownError(answer);
}

/** Whether a filter's `@Catch()` names the type of an error, or no type. */
function catches(filter: ExceptionFilter, error: unknown): boolean {
  const types = (Reflect.getMetadata(FILTER_CATCH_EXCEPTIONS, filter.constructor) ?? []) as ExceptionType[];
  return types.length === 0 || types.some((type) => error instanceof type);
}

/** The connection, with the method `emit` by which filters of gateways send their error. */
function emittingClient(connection: RealtimeConnection, emitted: (body: unknown) => void): unknown {
  return Object.create(connection, {
    // The connection makes these on demand, in fields that are not inherited.
    headers: { get: () => connection.headers },
    data: { get: () => connection.data },
    user: {
      get: () => connection.user,
      set: (user: RealtimeConnection['user']) => void (connection.user = user),
    },
    disconnect: { value: () => connection.disconnect() },
    emit: {
      value: (event: string, body: unknown) => {
        if (event === 'exception') emitted(body);
      },
    },
  });
}

/** What `BaseWsExceptionFilter` makes of an exception that it does not know; this library knows more exceptions. */
function isUnknownError(body: Readonly<Record<string, unknown>>): boolean {
  return body.status === 'error' && body.message === 'Internal server error';
}
