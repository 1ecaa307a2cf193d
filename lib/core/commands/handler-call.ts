import type { ClientCommand } from '../../protocol/commands.js';
import type { ChannelMatch } from '../channel/registry.js';
import type { ChannelAction, HandlerCall } from '../ports/channel-definition.js';
import type { Session } from '../session/session.js';

/** Commands that handlers of the application are called for. */
type HandledCommand = Extract<ClientCommand, { readonly type: ChannelAction }>;

/** What a handler of the application is given for a command of a client. */
export function handlerCall(
  { view: connection, user }: Session,
  { channel, params }: Pick<ChannelMatch, 'channel' | 'params'>,
  command: HandledCommand,
): HandlerCall {
  const { type, id, trace, meta } = command;
  const payload = type === 'subscribe' ? command.payload.params : command.payload;
  // Only fields that the type of the command has: any other one is as the client sent it, and was never validated.
  if (type === 'publish') {
    const { event, key, ttl } = command;
    return { connection, user, channel, params, id, event, payload, trace, meta, key, ttl };
  }
  const event = type === 'signal' || type === 'request' ? command.event : '';
  // A subscription keeps its call, and most clients send neither.
  return trace === undefined && meta === undefined
    ? { connection, user, channel, params, id, event, payload }
    : { connection, user, channel, params, id, event, payload, trace, meta };
}
