import { createParamDecorator, type ExecutionContext, type PipeTransform, type Type } from '@nestjs/common';
import type { RealtimeConnection } from '../../core/ports/realtime-connection.js';
import { RealtimeContext } from './realtime-context.js';

/** Takes one argument of a handler from its call. Shared by the decorator's factory and the direct call. */
export type ParamReader = (
  data: string | undefined,
  context: RealtimeContext | undefined,
  connection: unknown,
) => unknown;

const readChannelParam: ParamReader = (name, context) =>
  name === undefined ? context?.params : context?.params[name];

const readUser: ParamReader = (claim, _context, connection) => {
  // Of the connection, not of the call: a guard may have put the application's own user there, as guards do on
  // requests.
  const user = (connection as RealtimeConnection | undefined)?.user;
  return claim === undefined ? user : user?.[claim];
};

const readMessageId: ParamReader = (_data, context) => context?.id;

function factoryOf(read: ParamReader) {
  return (data: string | undefined, context: ExecutionContext) =>
    read(data, RealtimeContext.from(context), context.getArgByIndex(0));
}

const channelParamFactory = factoryOf(readChannelParam);
const userFactory = factoryOf(readUser);
const messageIdFactory = factoryOf(readMessageId);

const readers = new Map<unknown, ParamReader>([
  [channelParamFactory, readChannelParam],
  [userFactory, readUser],
  [messageIdFactory, readMessageId],
]);

/** The reader behind a parameter decorator's factory, when the decorator is one of this file. */
export function readerOf(factory: unknown): ParamReader | undefined {
  return readers.get(factory);
}

/** Whether the parameter depends on the channel's name alone. */
export function isChannelParam(factory: unknown): boolean {
  return factory === channelParamFactory;
}

/** A pipe, by class or as an instance. */
export type Pipe = Type<PipeTransform> | PipeTransform;

const channelParam = createParamDecorator<string | undefined>(channelParamFactory);
const realtimeUser = createParamDecorator<string | undefined>(userFactory);
const messageId = createParamDecorator<undefined>(messageIdFactory);

/**
 * A parameter that the channel's pattern took from its name; without a name, all of them. A name that the pattern
 * does not have is a boot error.
 *
 * @example rename(@ChannelParam('room', ParseIntPipe) room: number) {}
 * @publicApi
 */
export function ChannelParam(name?: string, ...pipes: Pipe[]): ParameterDecorator {
  return channelParam(name, ...pipes);
}

/**
 * The user of the connection: what a guard put on `connection.user`, else whom the library verified; `undefined` for an
 * anonymous client. With a claim, that field of it. Also works on other gateways whose guards set `client.user`.
 *
 * @example canRead(@RealtimeUser('id') user: string) {}
 * @publicApi
 */
export function RealtimeUser(claim?: string, ...pipes: Pipe[]): ParameterDecorator {
  return realtimeUser(claim, ...pipes);
}

/**
 * The id that the client gave its command: stable over retries of a publish, so it is the key for storing things once
 * (G4).
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
