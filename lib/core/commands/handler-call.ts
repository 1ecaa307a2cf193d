import type { ClientCommand } from '../../protocol/commands.js';
import type { Envelope } from '../../protocol/envelope.js';
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
  const { id, event = '', key, ttl, trace, meta } = command as HandledCommand & Envelope;
  const payload = command.type === 'subscribe' ? command.payload.params : command.payload;
  const call: HandlerCall = { connection, user, channel, params, id, event, payload };
  // A subscription keeps its call, and most clients send none of them.
  return trace === undefined && meta === undefined && key === undefined && ttl === undefined
    ? call
    : { ...call, trace, meta, key, ttl };
}
