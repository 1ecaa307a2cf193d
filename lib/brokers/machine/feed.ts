import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { PresenceDiff } from '../../protocol/messages.js';

/**
 * Where a machine hands what happens in a channel that this process follows. It is the driver's, and no part of the state: whether
 * anybody follows a channel decides nothing. Called in the midst of a command: it may only note what it is handed.
 */
export interface ChannelFeed {
  /** Called with each event that is appended. */
  onAppended(event: ChannelEvent): void;
  /** Called with each change of the members. */
  onPresence(diff: PresenceDiff): void;
}
