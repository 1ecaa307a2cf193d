import 'reflect-metadata';
import {
  EXCEPTION_FILTERS_METADATA,
  GUARDS_METADATA,
  INTERCEPTORS_METADATA,
  PIPES_METADATA,
} from '@nestjs/common/constants.js';
import type { ApplicationConfig } from '@nestjs/core';
import { isEngineStage } from '../interceptors/engine-stage.js';
import type { HandlerParam } from './handler-params.js';
import type { HandlerTarget } from './handler-target.js';

/** Everything that stands before a handler, as declared: classes or instances. */
export interface BoundEnhancers {
  readonly guards: readonly unknown[];
  readonly interceptors: readonly unknown[];
  readonly pipes: readonly unknown[];
  readonly filters: readonly unknown[];
  /** Whether global guards, pipes or interceptors run as well. */
  readonly global: { readonly guards: boolean; readonly interceptors: boolean; readonly pipes: boolean };
}

/** What is bound to a handler by its class, its method, its parameters and globally. */
export function boundEnhancers(
  { host, method }: HandlerTarget,
  params: readonly HandlerParam[],
  config: ApplicationConfig,
): BoundEnhancers {
  const bound = (key: string) => [...list(key, host.metatype), ...list(key, method)];
  return {
    guards: bound(GUARDS_METADATA),
    interceptors: bound(INTERCEPTORS_METADATA).filter((interceptor) => !isEngineStage(interceptor)),
    pipes: [...bound(PIPES_METADATA), ...params.flatMap(({ pipes }) => pipes)],
    filters: bound(EXCEPTION_FILTERS_METADATA),
    global: {
      guards: config.getGlobalGuards().length > 0,
      interceptors: config.getGlobalInterceptors().some((interceptor) => !isEngineStage(interceptor)),
      pipes: config.getGlobalPipes().length > 0,
    },
  };
}

/**
 * Classes among the bound enhancers that Nest has no instance of, because the handler's class is provided in a way
 * that Nest does not look behind (a factory, a value). It would skip them in silence, a guard included.
 */
export function unresolvable({ host }: HandlerTarget, enhancers: BoundEnhancers): readonly string[] {
  const { guards, interceptors, pipes, filters } = enhancers;
  return [...guards, ...interceptors, ...pipes, ...filters]
    .filter((enhancer): enhancer is (...args: never[]) => unknown => typeof enhancer === 'function')
    .filter((enhancer) => !host.module.injectables.has(enhancer))
    .map(({ name }) => name);
}

function list(key: string, target: object): readonly unknown[] {
  return ((Reflect.getMetadata(key, target) as unknown[] | undefined) ?? []).filter((item) => item != null);
}
