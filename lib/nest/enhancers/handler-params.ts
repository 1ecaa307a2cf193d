import 'reflect-metadata';
import type { ExecutionContext } from '@nestjs/common';
import {
  CUSTOM_ROUTE_ARGS_METADATA,
  PARAMTYPES_METADATA,
  ROUTE_ARGS_METADATA,
} from '@nestjs/common/constants.js';
import { readChannelParam, readerOf, type ParamReader } from '../decorators/params.decorator.js';
import type { RealtimeContext } from '../decorators/realtime-context.js';
import type { HandlerTarget } from './handler-target.js';

/** Parameters of handlers without parameter decorators, in the shape of Nest's own route arguments. */
const POSITIONAL_ARGS_METADATA = 'nestjs-realtime:positional-args';

// Nest's numbers of `@ConnectedSocket()`, `@MessageBody()` and `@Ack()`. HTTP's `@Req()` and `@Body()` share the first two.
const SOCKET = 0;
const PAYLOAD = 3;
const ACK = 13;

/** One decorated parameter, as Nest stores it. */
interface RouteArgument {
  readonly index: number;
  readonly data?: unknown;
  readonly pipes?: readonly unknown[];
  readonly factory?: unknown;
  readonly schema?: unknown;
}

/** One parameter of a handler. */
export interface HandlerParam extends Required<Pick<RouteArgument, 'index' | 'pipes'>> {
  readonly data: unknown;
  /** Reads the value from the call without Nest; `undefined` for decorators of others. */
  readonly read: ParamReader | undefined;
  /** Whether it depends only on the channel's name. */
  readonly ofChannel: boolean;
  /** Whether it is a decorator of HTTP that has no meaning here. */
  readonly foreign: boolean;
}

/**
 * The connection as the parameter of a custom decorator. As `@ConnectedSocket()`, Nest would warn for every hook without
 * parameter decorators that a `ValidationPipe` cannot know its types.
 */
const CONNECTION_KEY = `connection${CUSTOM_ROUTE_ARGS_METADATA}:0`;
const PAYLOAD_KEY = `${PAYLOAD}:1`;
const connectionOf = (_data: unknown, context: ExecutionContext): unknown => context.getArgByIndex(SOCKET);

function pick(payload: unknown, key: unknown): unknown {
  return typeof key === 'string' && key !== ''
    ? (payload as Record<string, unknown> | null | undefined)?.[key]
    : payload;
}

/**
 * Reads the parameters of a handler, and the metadata key under which Nest finds them. Without any decorator they are
 * (connection, payload), as in a gateway, and the payload passes the pipes: Nest alone would not validate it. At least
 * one is always declared, or Nest would call the method with all of its own arguments. The library's own functions have
 * none.
 */
export function paramsOf({ host, methodName, method, own }: HandlerTarget) {
  if (own === true) return { list: [], metadataKey: undefined };
  const decorated = Reflect.getMetadata(ROUTE_ARGS_METADATA, host.metatype, methodName) as
    Record<string, RouteArgument> | undefined;
  if (decorated !== undefined && Object.keys(decorated).length > 0) {
    return { list: Object.entries(decorated).map(describe), metadataKey: ROUTE_ARGS_METADATA };
  }
  const types = Reflect.getMetadata(PARAMTYPES_METADATA, host.metatype.prototype as object, methodName) as
    unknown[] | undefined;
  const count = Math.min(2, Math.max(method.length, types?.length ?? 0));
  const connection: RouteArgument = { index: 0, pipes: [] };
  const payload: RouteArgument = { index: 1, pipes: [] };
  const declared = {
    [CONNECTION_KEY]: { ...connection, factory: connectionOf },
    ...(count === 2 ? { [PAYLOAD_KEY]: payload } : {}),
  };
  Reflect.defineMetadata(POSITIONAL_ARGS_METADATA, declared, host.metatype, methodName);
  const list = [describe([`${SOCKET}:0`, connection]), describe([PAYLOAD_KEY, payload])];
  return { list: list.slice(0, count), metadataKey: POSITIONAL_ARGS_METADATA };
}

/** Readers of Nest's own decorators, by their number. */
const NEST_READERS: Readonly<Record<number, ParamReader>> = {
  [SOCKET]: (_data, _context, connection) => connection,
  [PAYLOAD]: (key, context) => pick(context?.payload, key),
  [ACK]: () => undefined,
};

function describe([key, argument]: [string, RouteArgument]): HandlerParam {
  const { index, data, pipes = [], factory, schema } = argument;
  const known = factory === undefined ? NEST_READERS[Number(key.split(':')[0])] : readerOf(factory);
  return {
    index,
    data,
    pipes,
    // A schema is checked by a pipe, which only Nest runs.
    read: schema === undefined ? known : undefined,
    ofChannel: known === readChannelParam,
    foreign: factory === undefined && known === undefined,
  };
}

/** Tells Nest where the parameters of a handler are among the arguments of a call. */
export const paramsFactory = {
  exchangeKeyForValue(type: number, data: unknown, args: unknown[]): unknown {
    if (type === SOCKET) return args[0];
    return type === PAYLOAD ? pick(args[1], data) : undefined;
  },
};

/** Fills the arguments of a handler without Nest; `undefined` when a parameter needs Nest. */
export function directArguments(
  params: readonly HandlerParam[],
): ((context: RealtimeContext) => unknown[]) | undefined {
  if (params.some(({ read, pipes }) => read === undefined || pipes.length > 0)) return undefined;
  const length = params.reduce((most, { index }) => Math.max(most, index + 1), 0);
  return (context) => {
    const args = new Array<unknown>(length).fill(undefined);
    for (const { index, data, read } of params)
      args[index] = read?.(data as string | undefined, context, context.connection);
    return args;
  };
}
