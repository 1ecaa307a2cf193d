import type { Envelope } from '../protocol/envelope.js';
import type { ChannelRegistry } from './channel/registry.js';
import { errorFromFrame } from './errors.js';
import type { ErrorContext } from './state.js';
import type { PublishQueue } from './publish-queue.js';
import type { CommandQueue } from './command-queue.js';
import type { TokenRefresher } from './token-refresher.js';

/** Who is told of which message. */
export interface Recipients {
  readonly commands: Pick<CommandQueue, 'answer'>;
  readonly publishes: Pick<PublishQueue, 'answer'>;
  readonly channels: Pick<ChannelRegistry, 'find'>;
  readonly refresher: Pick<TokenRefresher, 'demand'>;
  readonly report: (error: unknown, context: ErrorContext) => void;
}

/** Hands a server message to whom it concerns. Types that a later version adds are ignored (P6). */
export function route(message: Envelope, to: Recipients): void {
  switch (message.type) {
    case 'reply':
    case 'pong':
      if (!to.publishes.answer(message)) to.commands.answer(message);
      return;
    case 'error':
      if (to.publishes.answer(message) || to.commands.answer(message)) return;
      // An answer to what was given up meanwhile concerns nobody; an error that answers nothing does.
      if (message.ref === undefined) to.report(errorFromFrame(message.payload), { source: 'server' });
      return;
    case 'event':
    case 'signal':
    case 'presence':
    case 'resumed':
    case 'gap':
    case 'reset':
    case 'unsubscribed':
      if (message.channel !== undefined) to.channels.find(message.channel)?.receive(message);
      return;
    case 'auth_required':
      to.refresher.demand(message.payload);
      return;
  }
}
