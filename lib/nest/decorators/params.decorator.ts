import { createParamDecorator, type ExecutionContext, type PipeTransform, type Type } from '@nestjs/common';
import type { RealtimeConnection } from '../../core/ports/realtime-connection.js';
import { isRecord } from '../../protocol/validation/checks.js';
import { RealtimeContext } from './realtime-context.js';

/** Reads one argument of a handler from its call, for the decorator's factory and for direct calls. */
export type ParamReader = (
  data: string | undefined,
  context: RealtimeContext | undefined,
  connection: unknown,
) => unknown;

/** The reader of `@ChannelParam()`. */
export const readChannelParam: ParamReader = (name, context) =>
  name === undefined ? context?.params : context?.params[name];

/**
 * Guards put what they know of the user where they find a request: the application's own user, or the claims of a token, whose
 * user has no `id`. Who the user is was verified before, and authorization, events and presence go by that.
 */
const readUser: ParamReader = (claim, context, connection) => {
  const given = (connection as RealtimeConnection | null | undefined)?.user as unknown;
  const put = isRecord(given) ? given : undefined;
  const verified = context?.user;
  if (verified === undefined) return claim === undefined ? given : put?.[claim];
  if (claim === undefined) return put !== undefined && String(put.id) === verified.id ? put : verified;
  return claim === 'id' ? verified.id : (put?.[claim] ?? verified[claim]);
};

const readers = new Map<unknown, ParamReader>();

/** Makes a parameter decorator that reads its value with `read`, through Nest and without. */
function decoratorOf(read: ParamReader) {
  const factory = (data: string | undefined, context: ExecutionContext): unknown =>
    read(data, RealtimeContext.from(context), context.getArgByIndex(0));
  readers.set(factory, read);
  return createParamDecorator<string | undefined>(factory);
}

/** The reader of a parameter decorator's factory; `undefined` where the decorator is not of this file. */
export function readerOf(factory: unknown): ParamReader | undefined {
  return readers.get(factory);
}

/** A pipe, by class or as an instance. */
export type Pipe = Type<PipeTransform> | PipeTransform;

const channelParam = decoratorOf(readChannelParam);
const realtimeUser = decoratorOf(readUser);
const messageId = decoratorOf((_data, context) => context?.id);

/**
 * A parameter of the channel's pattern; without a name, an object of all of them. A name that the pattern does not have
 * is a boot error.
 *
 * @example rename(@ChannelParam('room', ParseIntPipe) room: number) {}
 * @publicApi
 */
export function ChannelParam(name?: string, ...pipes: Pipe[]): ParameterDecorator {
  return channelParam(name, ...pipes);
}

/**
 * The user of the connection: what a guard put on `connection.user` (or `request.user`) if it has the verified `id`, otherwise the
 * verified identity. With a claim, that field of what the guard put, or else of the verified identity; `'id'` is always the
 * verified id, which authorization, events and presence have too. For a client that was not verified (an anonymous one, or one
 * of another gateway) it is what a guard put, or `undefined`.
 *
 * @example canRead(@RealtimeUser('id') user: string) {}
 * @publicApi
 */
export function RealtimeUser(claim?: string, ...pipes: Pipe[]): ParameterDecorator {
  return realtimeUser(claim, ...pipes);
}

/**
 * The id that the client gave its command. It is the same when the client retries a publish, so it can be the key for
 * storing something once (G4).
 *
 * @example
 * @OnPublish('order.placed')
 * place(@MessageBody() order: NewOrder, @MessageId() id: string) {
 *   return this.orders.placeOnce(id, order);
 * }
 * @publicApi
 */
export function MessageId(): ParameterDecorator {
  return messageId();
}
