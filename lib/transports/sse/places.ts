import type { SubscribeResult } from '../../protocol/messages.js';
import type { Position } from '../../protocol/position.js';
import { MAX_ID_BYTES, ResumeIds } from './resume-id.js';

/** First character of a note, which is in no id. */
export const NOTE_MARK = '?';

/**
 * Where the client of a stream stands in its channels. Only what was written counts: a message that moves the client carries a note
 * of where to, in the place of its id, until it is written. What is queued may be overtaken, set aside (G11) or taken back (P24a).
 */
export class Places {
  private readonly ids: ResumeIds;
  private readonly written = new Map<string, Position>();
  /** Channels of which the client had an id that nobody can read, and no answer yet that says so. */
  private readonly unread = new Set<string>();

  /** @param lastId what the client had. */
  constructor(
    private readonly channels: readonly string[],
    lastId: string | undefined,
  ) {
    this.ids = new ResumeIds(channels);
    if (lastId === undefined) return;
    const places = this.ids.read(lastId);
    if (places === undefined) this.unread = new Set(channels);
    else this.written = new Map(places);
  }

  get(channel: string): Position | undefined {
    return this.written.get(channel);
  }

  /** Whether the client had an id of the channel that could not be read, and was sent no answer yet. */
  isUnread(channel: string): boolean {
    return this.unread.has(channel);
  }

  /** What the engine says was written. A channel of which an answer waits is not in it. */
  confirm(positions: Iterable<[string, Position]>): void {
    for (const [channel, position] of positions) this.written.set(channel, position);
  }

  /** The note of an answer to subscribe, or a reset, which decides where the client stands (P14). */
  noteOfOutcome(channel: string, { recovery, position: { epoch, seq }, from }: SubscribeResult): string {
    const at = recovery === 'truncated' && from !== undefined ? from - 1 : seq;
    return this.note(channel, recovery === 'complete' ? 'keep' : 'move', { epoch, seq: at });
  }

  /** The note of a message that has everything up to a position before it. */
  noteOfReached(channel: string, position: Position): string {
    return this.note(channel, 'move', position);
  }

  /** The message with this note is being written. */
  follow(note: string): void {
    const [index, how, seq, epoch = ''] = note.slice(NOTE_MARK.length).split(' ');
    const channel = this.channels[Number(index)] as string;
    const before = how === 'keep' ? this.written.get(channel) : undefined;
    this.written.set(channel, { epoch: decodeURIComponent(epoch), seq: before?.seq ?? Number(seq) });
    this.unread.delete(channel);
  }

  /** The id behind everything that was written; `undefined` for one that proxies would refuse. */
  get id(): string | undefined {
    const id = this.ids.write(this.written);
    return id.length > MAX_ID_BYTES ? undefined : id;
  }

  private note(channel: string, how: 'keep' | 'move', { epoch, seq }: Position): string {
    return `${NOTE_MARK}${this.channels.indexOf(channel)} ${how} ${seq} ${encodeURIComponent(epoch)}`;
  }
}
