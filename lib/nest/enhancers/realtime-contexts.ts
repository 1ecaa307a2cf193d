import type { CanActivate, ContextType, NestInterceptor, PipeTransform, Type } from '@nestjs/common';
import type { ExternalContextCreator } from '@nestjs/core';
import { isObservable, lastValueFrom, type Observable } from 'rxjs';
import { watchIssues } from '../errors/pipe-issues.js';
import type { EnhancerFailures } from './enhancer-failures.js';
import { RealtimeExecutionContext } from './realtime-execution-context.js';

/** What an Observable without a value becomes, so that nothing has to be recognised by the class of an error. */
export const NOTHING: unique symbol = Symbol('nothing');

/** The last value of an Observable; {@link NOTHING} where it has none. */
export function lastOf(observable: Observable<unknown>): Promise<unknown> {
  return lastValueFrom(observable, { defaultValue: NOTHING });
}

type Creator<Enhancer> = {
  create(...args: unknown[]): Enhancer[];
  createConcreteContext(...args: unknown[]): Enhancer[];
  getGlobalMetadata(...args: unknown[]): unknown[];
};
type Consumer = { createContext(args: unknown[], instance: object, callback: unknown): unknown };
type ContextFactory = (args: unknown[]) => unknown;

/** The parts of Nest's `ExternalContextCreator` that are replaced. They are not in its types. */
interface ContextParts {
  readonly guardsContextCreator: Creator<CanActivate>;
  readonly guardsConsumer: Consumer;
  readonly interceptorsContextCreator: Creator<NestInterceptor>;
  readonly interceptorsConsumer: Consumer;
  readonly pipesContextCreator: Creator<PipeTransform>;
  readonly contextUtils: { getContextFactory(...args: unknown[]): ContextFactory };
  readonly handlerMetadataStorage: object;
  transformToResult(result: unknown): Promise<unknown>;
}

/** How enhancers are run on sockets. */
export interface RealtimeContextsOptions {
  /** Whether global guards, interceptors and pipes run. */
  readonly globals: boolean;
  readonly failures: EnhancerFailures;
}

/**
 * Nest's own runner of guards, interceptors and pipes, with these differences: contexts are {@link RealtimeExecutionContext}s,
 * an Observable without a value is not an error, failures of enhancers are kept apart from those of handlers, and global
 * enhancers can be left out.
 */
export function realtimeContexts(
  nest: ExternalContextCreator,
  { globals, failures }: RealtimeContextsOptions,
): ExternalContextCreator {
  const parts = nest as unknown as ContextParts;
  const makesContexts = {
    createContext: (args: unknown[], instance: object, callback: unknown) =>
      new RealtimeExecutionContext(args, instance.constructor as Type, callback as () => unknown),
  };
  const withoutGlobals = globals ? {} : { getGlobalMetadata: () => [] };
  const { guardsContextCreator: guards, interceptorsContextCreator: interceptors } = parts;
  const { pipesContextCreator: pipes } = parts;
  return derive(nest as unknown as ContextParts, {
    guardsContextCreator: derive(guards, {
      ...withoutGlobals,
      create(this: Creator<CanActivate>, ...args) {
        return guards.create.apply(this, args).map((guard) => failures.watchGuard(guard));
      },
    }),
    interceptorsContextCreator: derive(interceptors, {
      ...withoutGlobals,
      create(this: Creator<NestInterceptor>, ...args) {
        return interceptors.create.apply(this, args).map((one) => failures.watchInterceptor(one));
      },
    }),
    pipesContextCreator: derive(pipes, {
      ...withoutGlobals,
      createConcreteContext(this: Creator<PipeTransform>, ...args) {
        const made = pipes.createConcreteContext.apply(this, args);
        made.forEach(watchIssues);
        return made;
      },
    }),
    guardsConsumer: derive(parts.guardsConsumer, makesContexts),
    interceptorsConsumer: derive(parts.interceptorsConsumer, makesContexts),
    contextUtils: derive(parts.contextUtils, {
      getContextFactory: (type, instance, callback) => (args) => {
        const { constructor } = instance as object;
        const context = new RealtimeExecutionContext(args, constructor as Type, callback as () => unknown);
        context.setType(type as ContextType);
        return context;
      },
    }),
    // Of its own: Nest keeps what it read of a method for every caller of the original.
    handlerMetadataStorage: new (parts.handlerMetadataStorage.constructor as new () => object)(),
    transformToResult: async (result) => (isObservable(result) ? lastOf(result) : result),
  }) as unknown as ExternalContextCreator;
}

/** An object that is like another one, but for these members. */
function derive<T extends object>(original: T, members: Partial<T>): T {
  return Object.assign(Object.create(original) as T, members);
}
