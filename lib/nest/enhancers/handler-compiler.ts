import type { ContextType } from '@nestjs/common';
import type { ApplicationConfig, ExternalContextCreator } from '@nestjs/core';
import { EmptyError, isObservable, lastValueFrom } from 'rxjs';
import { isPromise, type MaybePromise } from '../../core/ports/maybe-promise.js';
import type { RealtimeContext } from '../decorators/realtime-context.js';
import type { ErrorMapper } from '../errors/error-mapper.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { boundEnhancers, unresolvable, type BoundEnhancers } from './bound-enhancers.js';
import { FilterRunner } from './filter-runner.js';
import {
  directArguments,
  paramsFactory,
  paramsOf,
  type HandlerParam,
  type HandlerParams,
} from './handler-params.js';
import { sourceOf, type HandlerTarget } from './handler-target.js';

/** A handler behind its enhancers. Throws nothing but `RealtimeError`. */
export interface CompiledHandler {
  /** Class and method, for messages. */
  readonly source: string;
  run(context: RealtimeContext): MaybePromise<unknown>;
  readonly params: readonly HandlerParam[];
  /** Whether nothing stands before the function, so that it is called directly. */
  readonly direct: boolean;
  /** Whether a guard or interceptor may make the result depend on who calls. */
  readonly personal: boolean;
}

/** How a handler is run. */
export interface CompileOptions {
  /** Whether guards stand before it. Default true. */
  readonly guards?: boolean;
  /** Whether an Observable without a value is an answer of `undefined`. Default false: it is an error. */
  readonly emptyAllowed?: boolean;
}

/**
 * Compiles handlers once, at boot. Guards, interceptors and pipes run through Nest's `ExternalContextCreator`; a
 * handler that provably has none, globally neither, is called directly. What cannot be proved runs through Nest.
 */
export class HandlerCompiler {
  constructor(
    private readonly contexts: ExternalContextCreator,
    private readonly config: ApplicationConfig,
    private readonly mapper: ErrorMapper,
  ) {}

  compile(target: HandlerTarget, problems: BootProblems, options: CompileOptions = {}): CompiledHandler {
    const source = sourceOf(target);
    const params = paramsOf(target);
    const enhancers = boundEnhancers(target, params.list, this.config);
    checkTarget(target, params, enhancers, problems);

    const guards = options.guards !== false && (enhancers.guards.length > 0 || enhancers.global.guards);
    // The library's own functions decide; what interceptors do to results has no place there.
    const interceptors =
      target.own !== true && (enhancers.interceptors.length > 0 || enhancers.global.interceptors);
    const pipes = target.own !== true && (enhancers.pipes.length > 0 || enhancers.global.pipes);
    const direct = guards || interceptors || pipes ? undefined : this.direct(target, params.list);
    const call = direct ?? this.throughNest(target, params.metadataKey, { guards, interceptors });
    const filters = new FilterRunner(target, enhancers.filters, this.mapper);
    const emptyAllowed = options.emptyAllowed ?? false;

    const fail = async (error: unknown, context: RealtimeContext): Promise<never> => {
      throw await filters.run(error, context, { source, connectionId: context.connection.id });
    };
    const settle = async (result: Promise<unknown>, context: RealtimeContext): Promise<unknown> => {
      try {
        const value: unknown = await result;
        return isObservable(value) ? await lastValueFrom(value) : value;
      } catch (error) {
        if (emptyAllowed && error instanceof EmptyError) return undefined;
        return fail(error, context);
      }
    };
    return {
      source,
      params: params.list,
      direct: direct !== undefined,
      personal: guards || interceptors,
      run: (context) => {
        let result: unknown;
        try {
          result = call(context);
        } catch (error) {
          return fail(error, context);
        }
        if (isPromise(result)) return settle(result, context);
        return isObservable(result) ? settle(lastValueFrom(result), context) : result;
      },
    };
  }

  private direct(target: HandlerTarget, params: readonly HandlerParam[]): Call | undefined {
    const { method, host, own } = target;
    if (own === true)
      return (context) => method(context.connection, context.payload, context, context.pattern);
    const args = directArguments(params);
    return args === undefined
      ? undefined
      : (context) => method.apply(host.instance, args(context, context.connection));
  }

  private throughNest(
    { host, method, methodName }: HandlerTarget,
    metadataKey: string | undefined,
    { guards, interceptors }: { guards: boolean; interceptors: boolean },
  ): Call {
    const run = this.contexts.create<Record<string, never>, ContextType>(
      host.instance,
      method,
      methodName,
      metadataKey,
      metadataKey === undefined ? undefined : paramsFactory,
      undefined,
      undefined,
      // Filters are run by `FilterRunner`: Nest's way includes the global ones, and logs what is thrown to a client.
      { guards, interceptors, filters: false },
      'ws',
    ) as (...args: unknown[]) => Promise<unknown>;
    return (context) => run(context.connection, context.payload, context, context.pattern);
  }
}

type Call = (context: RealtimeContext) => unknown;

function checkTarget(
  target: HandlerTarget,
  { list }: HandlerParams,
  enhancers: BoundEnhancers,
  problems: BootProblems,
): void {
  const { host, method, own } = target;
  const source = sourceOf(target);
  for (const name of unresolvable(target, enhancers)) {
    problems.add(
      source,
      `${name} is bound to it, but Nest has no instance of it and would skip it.`,
      `Provide ${host.metatype.name} as a class ("providers: [${host.metatype.name}]"), not by a factory or value.`,
    );
  }
  if (own === true) return;
  const foreign = list.find((param) => param.foreign);
  if (foreign !== undefined) {
    problems.add(
      source,
      `parameter ${foreign.index} has a decorator of HTTP that means nothing here.`,
      'Use @MessageBody(), @ChannelParam(), @RealtimeUser(), @MessageId() or @ConnectedSocket().',
    );
  }
  const covered = new Set(list.map(({ index }) => index));
  // Rest and default parameters do not count in `length`.
  const bare = Array.from({ length: method.length }, (_, index) => index).find(
    (index) => !covered.has(index),
  );
  if (bare !== undefined) {
    problems.add(
      source,
      `parameter ${bare} has no decorator and would always be undefined.`,
      'Decorate it, e.g. with @MessageBody() or @ChannelParam(). Without any decorator a handler gets (connection, payload).',
    );
  }
}
