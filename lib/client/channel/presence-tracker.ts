import type { PresenceMember } from '../../protocol/messages.js';
import type { RealtimeError } from '../../protocol/realtime-error.js';
import { PresenceList, readPresence, type PresenceNews } from './presence-list.js';

/** Diffs that are kept while pages are read; with more, the list is read once more. */
const MAX_WAITING = 1_024;

/** What the tracker needs. */
export interface PresenceSetup {
  readonly maxMembers: number;
  /** Asks for a page; `done` is called once. */
  ask(cursor: string | undefined, done: (error: RealtimeError | undefined, page: unknown) => void): void;
  /** Runs `task` after a pause that grows with `retry`, from 0. */
  later(retry: number, task: () => void): { cancel(): void };
  changed(members: readonly PresenceMember[]): void;
}

/**
 * Keeps the members of one channel: a page at subscribe, diffs after it, and when a version is missing the list is
 * asked for again (G19). Pages of one reading may be of different versions, so every diff since the first page is
 * kept and applied after the last: adding and removing by id gives the same list however much of it a later page
 * already knew.
 */
export class PresenceTracker {
  readonly list: PresenceList;
  /** Diffs since the first page, while a reading is under way. */
  private waiting: PresenceNews[] | undefined;
  /** Number of the reading; an answer to an older one is ignored. */
  private reading = 0;
  private overflowed = false;
  /** Readings in a row that were not enough, so that a server that contradicts itself is not asked in a loop. */
  private rereads = 0;
  private pause: { cancel(): void } | undefined;

  constructor(private readonly setup: PresenceSetup) {
    this.list = new PresenceList(setup.maxMembers);
  }

  /** The page of a subscribe answer; `undefined` when the channel or the subscription has no presence. */
  subscribed(page: unknown): void {
    this.stop();
    if (page === undefined) {
      if (this.list.count > 0) this.empty();
      return;
    }
    this.waiting = [];
    this.firstPage(page, this.reading);
  }

  /** A `presence` message. */
  receive(payload: unknown): void {
    const news = readPresence(payload);
    if (this.waiting !== undefined) {
      if (this.waiting.length < MAX_WAITING) this.waiting.push(news);
      else this.overflowed = true;
      return;
    }
    this.apply(news);
  }

  /** The connection or the subscription is gone. The list stays as it was last known. */
  stop(): void {
    this.reading++;
    this.waiting = undefined;
    this.rereads = 0;
    this.pause?.cancel();
  }

  /** The subscription was given up: nobody is known any more. */
  empty(): void {
    this.stop();
    const hadAny = this.list.count > 0;
    this.list.clear();
    if (hadAny) this.setup.changed([]);
  }

  private apply(news: PresenceNews): void {
    const effect = this.list.diff(news);
    if (effect === 'behind') this.behind();
    if (effect !== 'changed') return;
    this.rereads = 0;
    this.setup.changed(this.list.all);
  }

  private behind(): void {
    const retry = this.rereads++;
    if (retry === 0) {
      this.read();
      return;
    }
    this.waiting = [];
    this.pause = this.setup.later(retry - 1, () => this.read());
  }

  /** Reads the whole list anew. */
  private read(): void {
    const reading = ++this.reading;
    this.waiting = [];
    this.overflowed = false;
    this.pause?.cancel();
    this.setup.ask(undefined, (error, page) => {
      if (reading !== this.reading) return;
      if (error === undefined) this.firstPage(page, reading);
      else this.failed(error);
    });
  }

  private firstPage(page: unknown, reading: number): void {
    const news = readPresence(page);
    this.list.begin(news);
    this.nextPage(news, reading);
  }

  private nextPage(last: PresenceNews, reading: number): void {
    // Of a large channel the first members are enough: there could be any number of pages.
    if (last.more === undefined || this.list.isFull || this.list.isCounted || last.members.length === 0) {
      this.finish();
      return;
    }
    this.setup.ask(last.more, (error, page) => {
      if (reading !== this.reading) return;
      if (error !== undefined) {
        this.failed(error);
        return;
      }
      const news = readPresence(page);
      this.list.add(news);
      this.nextPage(news, reading);
    });
  }

  private finish(): void {
    const { waiting = [], reading, overflowed } = this;
    this.waiting = undefined;
    this.overflowed = false;
    this.setup.changed(this.list.all);
    if (overflowed) {
      this.behind();
      return;
    }
    for (const news of waiting) {
      if (reading !== this.reading) return;
      this.receive(news);
    }
  }

  /** A refusal is final until the next subscribe; the rest is tried again, ever more slowly. */
  private failed(error: RealtimeError): void {
    this.waiting = undefined;
    if (!error.retryable) return;
    this.waiting = [];
    this.pause = this.setup.later(this.rereads++, () => this.read());
  }
}
