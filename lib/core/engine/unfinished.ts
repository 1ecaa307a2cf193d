import type { ThrottledLog } from '../async/throttled-log.js';
import type { InboundLimits } from '../ports/settings.js';
import { UnfinishedMessages } from '../session/unfinished-messages.js';

/** The bound of what clients have begun to send, with its line in the log. */
export function unfinishedMessages(
  { maxUnfinishedBytes }: Pick<InboundLimits, 'maxUnfinishedBytes'>,
  journal: Pick<ThrottledLog, 'warn'>,
): UnfinishedMessages {
  return new UnfinishedMessages(maxUnfinishedBytes, (network) =>
    journal.warn(
      'unfinished_messages',
      () =>
        `A connection of address ${network} was closed with overloaded: clients have sent more of messages that do not end, of what ` +
        `waits for its turn, or before welcome, than limits.maxUnfinishedBytes allows (${maxUnfinishedBytes} bytes)`,
    ),
  );
}
