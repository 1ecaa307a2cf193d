import type { Type } from '@nestjs/common';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';

/** The module that provides a class, as Nest's container knows it. */
export type HostModule = NonNullable<InstanceWrapper['host']>;

/** A function of the application. */
export type Method = (...args: unknown[]) => unknown;

/** A provider whose methods are handlers. */
export interface HandlerHost {
  readonly instance: object;
  readonly metatype: Type;
  readonly module: HostModule;
}

/** One function to be run behind the enhancers of its class and its own. */
export interface HandlerTarget {
  readonly host: HandlerHost;
  readonly method: Method;
  readonly methodName: string;
  /**
   * Whether the function is the library's own: then it is called with (connection, payload, context, pattern) and has
   * no parameters to fill, but the class's enhancers stand before it all the same.
   */
  readonly own?: boolean;
}

/** Class and method, as errors and log lines name them. */
export function sourceOf({ host, methodName }: HandlerTarget): string {
  return `${host.metatype.name}.${methodName}`;
}
