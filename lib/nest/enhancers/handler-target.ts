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

/** A function that runs behind its own enhancers and those of its class. */
export interface HandlerTarget {
  readonly host: HandlerHost;
  readonly method: Method;
  readonly methodName: string;
  /**
   * Whether the function is the library's own. It is then called with (connection, payload, context, pattern), and the
   * guards of the class run before it. Default `false`.
   */
  readonly own?: boolean;
}
