import 'reflect-metadata';
import type { ContextType } from '@nestjs/common';
import {
  EXCEPTION_FILTERS_METADATA,
  GUARDS_METADATA,
  INTERCEPTORS_METADATA,
  PIPES_METADATA,
  ROUTE_ARGS_METADATA,
} from '@nestjs/common/constants.js';
import type { ApplicationConfig, ExternalContextCreator } from '@nestjs/core';
import { isObservable } from 'rxjs';
import type { EngineLogger } from '../../core/ports/logger.js';
import { isPromise, type MaybePromise } from '../../core/ports/maybe-promise.js';
import type { RealtimeContext } from '../decorators/realtime-context.js';
import type { ErrorMapper } from '../errors/error-mapper.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { DedupeInterceptor } from '../interceptors/dedupe.interceptor.js';
import { EnvelopeInterceptor } from '../interceptors/envelope.interceptor.js';
import { SequenceInterceptor } from '../interceptors/sequence.interceptor.js';
import { EnhancerFailures } from './enhancer-failures.js';
import { FilterRunner } from './filter-runner.js';
import { directArguments, paramsFactory, paramsOf, type HandlerParam } from './handler-params.js';
import type { HandlerTarget } from './handler-target.js';
import { adviceOf } from './inert-response.js';
import { lastOf, NOTHING, realtimeContexts } from './realtime-contexts.js';

/** A handler behind its enhancers. Throws nothing but `RealtimeError`. */
export interface CompiledHandler {
  /** Class and method, for messages. */
  readonly source: string;
  run(context: RealtimeContext): MaybePromise<unknown>;
  readonly params: readonly HandlerParam[];
  /** Whether there is no enhancer, so that the function is called directly. */
  readonly direct: boolean;
  /** Whether a guard or interceptor may make the result depend on the caller. */
  readonly personal: boolean;
}

/** How a handler is run. */
export interface CompileOptions {
  /** Whether guards run before it. Default `true`. */
  readonly guards?: boolean;
  /** Whether an Observable without a value counts as `undefined`. Default `false`: it is an error. */
  readonly emptyAllowed?: boolean;
  /** Whether every parameter needs a decorator: the method does not come from a gateway. Default `false`. */
  readonly decorated?: boolean;
}

/** What all handlers of an application have in common. */
export interface CompilerSettings {
  /** Whether global guards, interceptors and pipes run. */
  readonly globals: boolean;
  readonly logger: EngineLogger;
}

/** The enhancers that are bound to a handler by its class, its method and its parameters: classes or instances. */
type Enhancers = Readonly<Record<'guards' | 'interceptors' | 'pipes' | 'filters', readonly unknown[]>>;

type Call = (context: RealtimeContext) => unknown;

/** Interceptors that do not run on channels, because the engine does their work there. */
const ENGINE_STAGES: readonly unknown[] = [DedupeInterceptor, EnvelopeInterceptor, SequenceInterceptor];

/** Whether an interceptor, as a class or an instance, does the engine's work. A derived class may do more. */
export function isEngineStage(interceptor: unknown): boolean {
  return [interceptor, (interceptor as object | null | undefined)?.constructor].some((type) =>
    ENGINE_STAGES.includes(type),
  );
}

/**
 * Compiles handlers once, at boot. Guards, interceptors and pipes run through Nest's `ExternalContextCreator`. A handler
 * that certainly has none, global ones included, is called directly.
 */
export class HandlerCompiler {
  private readonly contexts: ExternalContextCreator;
  private readonly failures: EnhancerFailures;
  private readonly globals: Readonly<Record<'guards' | 'interceptors' | 'pipes', boolean>>;

  constructor(
    contexts: ExternalContextCreator,
    config: ApplicationConfig,
    private readonly mapper: ErrorMapper,
    private readonly problems: BootProblems,
    { globals, logger }: CompilerSettings,
  ) {
    this.failures = new EnhancerFailures(logger);
    this.contexts = realtimeContexts(contexts, { globals, failures: this.failures });
    this.globals = {
      guards: globals && config.getGlobalGuards().length > 0,
      interceptors: globals && config.getGlobalInterceptors().some((one) => !isEngineStage(one)),
      pipes: globals && config.getGlobalPipes().length > 0,
    };
  }

  compile(
    target: HandlerTarget,
    { guards: guarded = true, emptyAllowed = false, decorated = false }: CompileOptions = {},
  ): CompiledHandler {
    const source = `${target.host.metatype.name}.${target.methodName}`;
    const { list: params, metadataKey } = paramsOf(target);
    const bound = boundEnhancers(target, params);
    this.check(target, source, params, bound);
    if (target.own !== true) this.checkDecorated(target, source, params, decorated);

    const { globals, failures } = this;
    const guards = guarded && (bound.guards.length > 0 || globals.guards);
    // What interceptors do to results, or pipes to parameters, has no place around the library's own functions.
    const isOwn = target.own === true;
    const interceptors = !isOwn && (bound.interceptors.length > 0 || globals.interceptors);
    const pipes = !isOwn && (bound.pipes.length > 0 || globals.pipes);
    const direct = guards || interceptors || pipes ? undefined : callDirectly(target, params);
    const call = direct ?? this.throughNest(target, metadataKey, { guards, interceptors });
    const filters = new FilterRunner(target, bound.filters, this.mapper, failures);

    const fail = async (error: unknown, context: RealtimeContext): Promise<never> => {
      const { action, connection } = context;
      failures.explain(error, source, action);
      const retryAfterMs = adviceOf(context);
      throw await filters.run(error, context, { source, about: connection.about, action, retryAfterMs });
    };
    const settle = async (result: Promise<unknown>, context: RealtimeContext): Promise<unknown> => {
      try {
        const value: unknown = await result;
        const last = isObservable(value) ? await lastOf(value) : value;
        if (last !== NOTHING) return last;
        if (emptyAllowed) return undefined;
        throw new TypeError(`${source} returned an Observable without a value`);
      } catch (error) {
        return fail(error, context);
      }
    };
    return {
      source,
      params,
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
        return isObservable(result) ? settle(lastOf(result), context) : result;
      },
    };
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
      // `FilterRunner` runs the filters: Nest would include global ones, and log what is thrown for a client.
      { guards, interceptors, filters: false },
      'ws',
    ) as (...args: unknown[]) => Promise<unknown>;
    return (context) => run(context.connection, context.payload, context, context.pattern);
  }

  private check(
    { host, own }: HandlerTarget,
    source: string,
    params: readonly HandlerParam[],
    bound: Enhancers,
  ): void {
    for (const enhancer of Object.values(bound).flat()) {
      // Nest does not make the enhancers of a class that is provided by a factory or value, and would skip them, guards
      // included, without an error.
      if (typeof enhancer !== 'function' || host.module.injectables.has(enhancer)) continue;
      this.problems.add(
        source,
        `${enhancer.name} is bound to it, but Nest has no instance of it and would skip it.`,
        `Provide ${host.metatype.name} as a class ("providers: [${host.metatype.name}]"), not by a factory or value.`,
      );
    }
    if (own === true) return;
    const foreign = params.find((param) => param.foreign);
    if (foreign !== undefined) {
      this.problems.add(
        source,
        `parameter ${foreign.index} has a decorator of HTTP, which has no meaning here.`,
        'Use @MessageBody(), @ChannelParam(), @RealtimeUser(), @MessageId() or @ConnectedSocket().',
      );
    }
  }

  /**
   * Reports parameters that are filled by their place, which nobody who writes for a channel expects: an authorization
   * would compare the connection with the name of a room. Only a method of a gateway may have none decorated.
   */
  private checkDecorated(
    { host, method, methodName }: HandlerTarget,
    source: string,
    params: readonly HandlerParam[],
    decorated: boolean,
  ): void {
    const key = Reflect.getMetadata(ROUTE_ARGS_METADATA, host.metatype, methodName) as object | undefined;
    const byPlace = key === undefined || Object.keys(key).length === 0;
    if (decorated && byPlace) {
      if (params.length === 0) return;
      this.problems.add(
        source,
        'has a parameter without a decorator, and so would get the connection in its place.',
        'Decorate it, e.g. with @MessageBody(), @ChannelParam() or @RealtimeUser().',
      );
      return;
    }
    // Of a method without any decorator the first two are (connection, payload). Rest and default parameters do not count in `length`.
    const bare = Array.from({ length: method.length }, (_, index) => index).find(
      (place) => !params.some(({ index }) => index === place),
    );
    if (bare === undefined) return;
    this.problems.add(
      source,
      `parameter ${bare} has no decorator and would always be undefined.`,
      'Decorate it, e.g. with @MessageBody() or @ChannelParam().' +
        (decorated ? '' : " Without any decorator a gateway's handler gets (connection, payload)."),
    );
  }
}

/** Calls a handler without Nest; `undefined` where a parameter needs Nest. */
function callDirectly(
  { method, host, own }: HandlerTarget,
  params: readonly HandlerParam[],
): Call | undefined {
  if (own === true) return (context) => method(context.connection, context.payload, context, context.pattern);
  const args = directArguments(params);
  return args === undefined ? undefined : (context) => method.apply(host.instance, args(context));
}

function boundEnhancers({ host, method }: HandlerTarget, params: readonly HandlerParam[]): Enhancers {
  const bound = (key: string): unknown[] =>
    [host.metatype, method].flatMap((target) =>
      ((Reflect.getMetadata(key, target) ?? []) as unknown[]).filter((enhancer) => enhancer != null),
    );
  return {
    guards: bound(GUARDS_METADATA),
    interceptors: bound(INTERCEPTORS_METADATA).filter((interceptor) => !isEngineStage(interceptor)),
    pipes: [...bound(PIPES_METADATA), ...params.flatMap(({ pipes }) => pipes)],
    filters: bound(EXCEPTION_FILTERS_METADATA),
  };
}
