import type { ClientCommand } from '../../protocol/commands.js';
import type { ChannelMatch } from '../channel/registry.js';
import type { ChannelAction, HandlerCall } from '../ports/channel-definition.js';
import type { Session } from '../session/session.js';

/** Commands that handlers of the application are called for. */
type HandledCommand = Extract<ClientCommand, { readonly type: ChannelAction }>;

/** The fields of a `publish`, for commands that do not have them. */
const NO_PUBLISH: { readonly key?: string; readonly ttl?: number } = {};

/** What a handler of the application is given for a command of a client. */
export function handlerCall(
  { view, user }: Session,
  { channel, params }: Pick<ChannelMatch, 'channel' | 'params'>,
  command: HandledCommand,
): HandlerCall {
  const { type, id, trace, meta } = command;
  // Only fields that the type of the command has: any other one is as the client sent it, and was never validated.
  const isNamed = type === 'publish' || type === 'signal' || type === 'request';
  const { key, ttl } = type === 'publish' ? command : NO_PUBLISH;
  return {
    connection: view,
    user,
    channel,
    params,
    id,
    event: isNamed ? command.event : '',
    payload: type === 'subscribe' ? command.payload.params : command.payload,
    trace,
    meta,
    key,
    ttl,
  };
}
