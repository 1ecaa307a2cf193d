import type { SubscribeResult } from '../../protocol/messages.js';
import type { Position } from '../../protocol/position.js';
import { MAX_ID_BYTES, ResumeIds } from './resume-id.js';

/**
 * Where the client of a stream stands in its channels. What it was sent counts; an answer that still waits for it counts for what is
 * sent behind that answer only.
 */
export class Places {
  private readonly ids: ResumeIds;
  private readonly sent = new Map<string, Position>();
  private readonly queued = new Map<string, Position>();
  /** Channels of which the client had an id that nobody can read. */
  private readonly unread = new Set<string>();

  /** @param lastId what the client had. */
  constructor(channels: readonly string[], lastId: string | undefined) {
    this.ids = new ResumeIds(channels);
    if (lastId === undefined) return;
    const places = this.ids.read(lastId);
    if (places === undefined) this.unread = new Set(channels);
    else this.sent = new Map(places);
  }

  get(channel: string): Position | undefined {
    return this.queued.get(channel) ?? this.sent.get(channel);
  }

  /** Whether the client had an id of the channel that could not be read; true once, as the first answer says so. */
  takeUnread(channel: string): boolean {
    return this.unread.delete(channel);
  }

  /** What the engine says was sent. A channel of which an answer waits is not in it. */
  confirm(positions: Iterable<[string, Position]>): void {
    for (const [channel, position] of positions) {
      this.sent.set(channel, position);
      this.queued.delete(channel);
    }
  }

  /** An answer to subscribe, or a reset, is queued, which decides where the client stands (P14). */
  queue(channel: string, { recovery, position, from }: SubscribeResult): void {
    const before = this.get(channel);
    const { epoch } = position;
    if (recovery === 'truncated' && from !== undefined) this.queued.set(channel, { epoch, seq: from - 1 });
    else if (recovery === 'complete' && before !== undefined)
      this.queued.set(channel, { epoch, seq: before.seq });
    else this.queued.set(channel, position);
  }

  /** What is queued brings the client to a position. */
  reach(channel: string, position: Position): void {
    this.queued.set(channel, position);
  }

  /** That answer was not sent (P24a). */
  takeBack(channel: string): void {
    this.queued.delete(channel);
  }

  /** The id behind everything that was sent; `undefined` for one that proxies would refuse. */
  get sentId(): string | undefined {
    return fitting(this.ids.write(this.sent));
  }

  /** The id behind everything that is queued, too. */
  get queuedId(): string | undefined {
    return fitting(this.ids.write(new Map([...this.sent, ...this.queued])));
  }
}

function fitting(id: string): string | undefined {
  return id.length > MAX_ID_BYTES ? undefined : id;
}
