import 'reflect-metadata';
import { FILTER_CATCH_EXCEPTIONS } from '@nestjs/common/constants.js';
import type { ArgumentsHost, ExceptionFilter } from '@nestjs/common';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { isObservable, lastValueFrom } from 'rxjs';
import type { RealtimeConnection } from '../../core/ports/realtime-connection.js';
import { isRecord } from '../../protocol/validation/checks.js';
import type { RealtimeContext } from '../decorators/realtime-context.js';
import type { ErrorMapper, ErrorOrigin } from '../errors/error-mapper.js';
import type { HandlerTarget } from './handler-target.js';

type ExceptionType = abstract new (...args: never[]) => unknown;

interface BoundFilter {
  readonly filter: ExceptionFilter;
  readonly types: readonly ExceptionType[];
}

/**
 * Runs the exception filters of a handler: the method's, then the class's, until one catches the type. Global filters do
 * not run, as in Nest's own gateways, because those of HTTP write to a response that does not exist here.
 *
 * The client gets the error that a filter returns, throws, or emits as `BaseWsExceptionFilter` does. Where the filter does
 * neither, it gets the original one.
 */
export class FilterRunner {
  private readonly filters: readonly BoundFilter[];

  constructor(
    private readonly target: HandlerTarget,
    declared: readonly unknown[],
    private readonly mapper: ErrorMapper,
  ) {
    // They are declared from the class to the method; the method's run first.
    this.filters = [...declared].reverse().flatMap((filter) => this.bind(filter));
  }

  /** The error that the client gets for what a handler threw. */
  async run(error: unknown, context: RealtimeContext, origin: ErrorOrigin): Promise<Error> {
    const found = this.filters.find(
      ({ types }) => types.length === 0 || types.some((type) => error instanceof type),
    );
    if (found === undefined) return this.mapper.toRealtimeError(error, origin);
    let emitted: unknown;
    const client = emittingClient(context.connection, (body) => (emitted = body));
    try {
      const returned: unknown = await found.filter.catch(error, this.argumentsOf(client, context));
      const answer: unknown = isObservable(returned)
        ? await lastValueFrom(returned, { defaultValue: undefined })
        : returned;
      return this.answer(answer ?? emitted, error, origin);
    } catch (thrown) {
      return this.mapper.toRealtimeError(thrown, origin);
    }
  }

  private answer(answer: unknown, error: unknown, origin: ErrorOrigin): Error {
    if (answer instanceof Error) return this.mapper.toRealtimeError(answer, origin);
    if (typeof answer === 'string') return this.mapper.fromBody(answer, error);
    if (isRecord(answer) && !isUnknownError(answer)) return this.mapper.fromBody(answer, error);
    return this.mapper.toRealtimeError(error, origin);
  }

  private argumentsOf(client: unknown, context: RealtimeContext): ArgumentsHost {
    const { host, method } = this.target;
    const execution = new ExecutionContextHost(
      [client, context.payload, context, context.pattern],
      host.metatype,
      method,
    );
    execution.setType('ws');
    return execution;
  }

  private bind(declared: unknown): BoundFilter[] {
    const { injectables } = this.target.host.module;
    const filter = (typeof declared === 'function' ? injectables.get(declared)?.instance : declared) as
      ExceptionFilter | undefined;
    if (typeof filter?.catch !== 'function') return [];
    const types = (Reflect.getMetadata(FILTER_CATCH_EXCEPTIONS, filter.constructor) ??
      []) as readonly ExceptionType[];
    return [{ filter, types }];
  }
}

/** The connection, with the method `emit` by which filters of gateways send their error. */
function emittingClient(connection: RealtimeConnection, emitted: (body: unknown) => void): unknown {
  return Object.create(connection, {
    // The connection makes these on demand, in fields that are not inherited.
    headers: { get: () => connection.headers },
    data: { get: () => connection.data },
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
