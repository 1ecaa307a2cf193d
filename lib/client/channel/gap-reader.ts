import type { CommandQueue } from '../command-queue.js';
import { eventOfHistory, readHistory } from './messages.js';
import type { ChannelEvent } from './types.js';
import type { Cursor, Hole } from './cursor.js';

/** Events of one page: bounded, whatever the size of the hole. */
const PAGE = 500;

/** Reads one page of a jump (P14) and hands it to the cursor. */
export function readHole(
  commands: Pick<CommandQueue, 'dispatch'>,
  channel: string,
  hole: Hole,
  cursor: Pick<Cursor<ChannelEvent>, 'page' | 'pageFailed'>,
): void {
  const { token, epoch, from, until } = hole;
  const payload = { epoch, from, until, limit: Math.min(PAGE, until - from + 1) };
  commands.dispatch({ type: 'history', channel, payload, now: true }, (error, answer) => {
    const page = error === undefined ? readHistory(answer) : undefined;
    if (page === undefined) {
      cursor.pageFailed(token, error?.message ?? 'The answer to history cannot be read');
      return;
    }
    const events = page.events.map((item) => eventOfHistory(item, channel, epoch));
    cursor.page(token, { epoch: page.position.epoch, events, more: page.more });
  });
}
