import type { Envelope } from '../../protocol/envelope.js';
import type { ChannelListeners } from './listeners.js';
import { readEvent, readGap, readPosition, readSignal } from './messages.js';
import type { ChannelEvent } from './types.js';
import type { Cursor } from './cursor.js';
import type { PresenceTracker } from './presence-tracker.js';

/** What a live subscription's messages go to. */
export interface Inbox {
  readonly channel: string;
  readonly cursor: Cursor<ChannelEvent>;
  readonly presence: PresenceTracker;
  readonly listeners: ChannelListeners;
}

/**
 * Hands one message of a live subscription on. One that lacks its place in the log is ignored: if it was an event,
 * the next one shows the jump.
 */
export function deliver(envelope: Envelope, { channel, cursor, presence, listeners }: Inbox): void {
  switch (envelope.type) {
    case 'event': {
      const event = readEvent(envelope, channel);
      if (event !== undefined) cursor.event(event);
      return;
    }
    case 'gap': {
      const read = readGap(envelope);
      if (read !== undefined) cursor.gap(read.epoch, read.gap);
      return;
    }
    case 'resumed': {
      const position = readPosition(envelope);
      if (position !== undefined) cursor.resumed(position);
      return;
    }
    case 'presence':
      presence.receive(envelope.payload);
      return;
    case 'signal':
      listeners.signal(readSignal(envelope, channel));
      return;
  }
}
