import { dayOf, timeOf } from './clock.js';
import { byId, copyOf, displayName, paintAvatar } from './dom.js';

/** A message of the room's log. Its `seq` is its place in the log, which the server assigns. */
export interface Message {
  readonly seq: number;
  readonly ts: number;
  readonly author: string;
  readonly text: string;
}

interface Entry {
  /** `seq`; for a message that is not in the log yet, a larger number. */
  order: number;
  ts: number;
  readonly author?: string;
  readonly root: HTMLElement;
  readonly part: (selector: string) => HTMLElement;
}

const BEHIND_ALL = 1e15;
const GROUP_MS = 5 * 60_000;
const NEAR_PX = 80;
const list = byId('messages', HTMLOListElement);
const scroller = byId('scroller', HTMLDivElement);
const silence = byId('silence', HTMLParagraphElement);

/** The messages in the order of the log, whether they came live, from a replay, or from the history. */
export class MessageList {
  private readonly entries: Entry[] = [];
  private readonly bySeq = new Map<number, Entry>();
  private readonly pending = new Map<string, Entry>();
  private readonly erased = new Set<number>();
  private sent = 0;
  /** Whether the end of the list is visible; it then stays visible when messages come or the size changes. */
  private pinned = true;
  private readonly resizing = new ResizeObserver(() => this.pinned && this.showEnd());

  constructor(
    private readonly self: string,
    private readonly mayErase: (author: string) => boolean,
    private readonly onErase: (seq: number) => void,
  ) {
    list.replaceChildren();
    this.resizing.observe(scroller);
    scroller.onscroll = () => {
      this.pinned = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_PX;
    };
  }

  close(): void {
    this.resizing.disconnect();
  }

  get oldest(): number | undefined {
    return this.bySeq.size === 0 ? undefined : Math.min(...this.bySeq.keys());
  }

  /** Shows a message of the log, once. */
  add({ seq, ts, author, text }: Message): void {
    if (this.bySeq.has(seq) || this.erased.has(seq)) return;
    const entry = this.messageEntry(author, text);
    entry.part('.delete').addEventListener('click', () => this.onErase(seq));
    this.bySeq.set(seq, entry);
    this.place(entry, seq, ts);
  }

  /** Shows an event of the room, e.g. that a member was removed. */
  note(seq: number, ts: number, text: string): void {
    if (this.bySeq.has(seq)) return;
    const entry: Entry = { order: 0, ts, ...copyOf('note-item') };
    entry.part('.note-text').textContent = text;
    this.bySeq.set(seq, entry);
    this.place(entry, seq, ts);
  }

  /** Shows the user's own message before the server has it. */
  addPending(id: string, text: string): void {
    const entry = this.messageEntry(this.self, text);
    entry.root.classList.add('pending');
    entry.part('.delivery').textContent = 'not sent yet';
    this.pending.set(id, entry);
    this.place(entry, BEHIND_ALL + this.sent++, Date.now());
    this.showEnd();
  }

  /** Removes a pending message: it came back from the log, or was refused. */
  settle(id: string): void {
    const entry = this.pending.get(id);
    if (entry === undefined) return;
    this.pending.delete(id);
    this.remove(entry);
  }

  /** Shows the outcome of a pending message. */
  mark(id: string, delivery: string): void {
    const entry = this.pending.get(id);
    if (entry !== undefined) entry.part('.delivery').textContent = delivery;
  }

  /** Removes what is shown of an erased event, author and text. What the log has in its place says no more either. */
  erase(seq: number): void {
    this.erased.add(seq);
    const entry = this.bySeq.get(seq);
    if (entry === undefined) return;
    this.remove(entry);
    this.bySeq.delete(seq);
    this.noteErased(seq, entry.ts);
  }

  /** Shows the place of an erased event, which the log has under its `seq`. */
  noteErased(seq: number, ts: number): void {
    this.erased.add(seq);
    this.note(seq, ts, 'A message was deleted');
    this.bySeq.get(seq)?.root.classList.add('erased');
  }

  /** Shows the delete buttons again, because the owner is known now. */
  repaint(): void {
    for (const entry of this.entries) this.paintDelete(entry);
  }

  showEnd(): void {
    this.pinned = true;
    scroller.scrollTop = scroller.scrollHeight;
  }

  clear(): void {
    for (const { root } of this.bySeq.values()) root.remove();
    this.entries.splice(0, this.bySeq.size);
    this.bySeq.clear();
    this.erased.clear();
    this.group(0);
    this.paintSilence();
  }

  paintSilence(): void {
    silence.hidden = this.entries.length > 0;
  }

  private messageEntry(author: string, text: string): Entry {
    const entry: Entry = { order: 0, ts: 0, author, ...copyOf('message-item') };
    entry.root.classList.toggle('own', author === this.self);
    paintAvatar(entry.part('.avatar'), author);
    entry.part('.author').textContent = displayName(author);
    entry.part('.text').textContent = text;
    return entry;
  }

  /** Inserts an entry at its place. The visible part of the list does not move. */
  private place(entry: Entry, order: number, ts: number): void {
    const height = scroller.scrollHeight;
    let index = this.entries.length;
    while (index > 0 && (this.entries[index - 1]?.order ?? 0) > order) index--;
    entry.order = order;
    entry.ts = ts;
    const time = entry.root.querySelector('time');
    if (time !== null) {
      time.textContent = timeOf(ts);
      time.dateTime = new Date(ts).toISOString();
    }
    entry.part('.day').textContent = dayOf(ts);
    list.insertBefore(entry.root, this.entries[index]?.root ?? null);
    this.entries.splice(index, 0, entry);
    this.group(index);
    this.group(index + 1);
    this.paintDelete(entry);
    this.paintSilence();
    if (this.pinned) this.showEnd();
    else if (index === 0) scroller.scrollTop += scroller.scrollHeight - height;
  }

  /** Shows the day once, and the author once for messages that follow one another. */
  private group(index: number): void {
    const entry = this.entries[index];
    if (entry === undefined) return;
    const before = this.entries[index - 1];
    const newDay = before === undefined || dayOf(before.ts) !== dayOf(entry.ts);
    const follows =
      !newDay &&
      before.author !== undefined &&
      before.author === entry.author &&
      entry.ts - before.ts < GROUP_MS;
    entry.root.classList.toggle('new-day', newDay);
    entry.root.classList.toggle('follows', follows);
  }

  private remove(entry: Entry): void {
    const index = this.entries.indexOf(entry);
    this.entries.splice(index, 1);
    entry.root.remove();
    this.group(index);
    this.paintSilence();
  }

  private paintDelete({ order, author, part }: Entry): void {
    if (author === undefined) return;
    part('.delete').hidden = order >= BEHIND_ALL || !this.mayErase(author);
  }
}
