import type { PresenceMember } from '../../protocol/messages.js';
import type { RealtimeError } from '../../protocol/realtime-error.js';
import type { ClientTimer } from '../clock.js';
import type { OnAnswer } from '../command-queue.js';
import { PresenceList, readPresence, type PresenceChange } from './presence-list.js';

/** Diffs that are kept while pages are read. With more the list is read again. */
const MAX_WAITING = 1_024;

/** What a {@link PresenceSync} needs. */
export interface PresenceSyncDeps {
  readonly maxMembers: number;
  /** Asks the server for a page. `onAnswer` is called once. */
  ask(cursor: string | undefined, onAnswer: OnAnswer): void;
  /** Runs `task` after a pause that grows with `retry`, from 0. */
  later(retry: number, task: () => void): ClientTimer;
  changed(members: readonly PresenceMember[]): void;
}

/**
 * Keeps the list of a channel's members in step with the server: a page at subscribe, diffs after it, and when a version
 * is missing the list is read again (G19). The pages of one reading may be of different versions, so all diffs since the
 * first page are kept and applied after the last: adding and removing by id gives the same list, however much of it a
 * later page already had.
 */
export class PresenceSync {
  readonly list: PresenceList;
  /** Diffs since the first page, while a reading is under way. */
  private waiting: PresenceChange[] | undefined;
  /** Number of the reading; an answer to an older one is ignored. */
  private reading = 0;
  private overflowed = false;
  /** Readings in a row that were not enough, so that a server that contradicts itself is not asked in a loop. */
  private rereads = 0;
  private pause: ClientTimer | undefined;

  constructor(private readonly deps: PresenceSyncDeps) {
    this.list = new PresenceList(deps.maxMembers);
  }

  /** The page of a subscribe answer; `undefined` when the channel or the subscription has no presence. */
  subscribed(page: unknown): void {
    this.stop();
    if (page === undefined) {
      if (this.list.count > 0) this.empty();
      return;
    }
    this.waiting = [];
    this.firstPage(page);
  }

  /** A `presence` message. */
  receive(payload: unknown): void {
    const change = readPresence(payload);
    if (this.waiting === undefined) this.apply(change);
    else if (this.waiting.length < MAX_WAITING) this.waiting.push(change);
    else this.overflowed = true;
  }

  /** The connection or the subscription is gone. The list stays as it was last known. */
  stop(): void {
    this.reading++;
    this.waiting = undefined;
    this.rereads = 0;
    this.pause?.cancel();
  }

  /** The subscription ended: no member is known any more. */
  empty(): void {
    this.stop();
    const hadAny = this.list.count > 0;
    this.list.clear();
    if (hadAny) this.deps.changed([]);
  }

  private apply(change: PresenceChange): void {
    const effect = this.list.diff(change);
    if (effect === 'behind') this.reread();
    if (effect !== 'changed') return;
    this.rereads = 0;
    this.deps.changed(this.list.all);
  }

  /** Reads the list again: at once the first time, then after a growing pause. */
  private reread(): void {
    if (this.rereads++ === 0) this.read();
    else this.readLater(this.rereads - 2);
  }

  private readLater(retry: number): void {
    this.waiting = [];
    this.pause = this.deps.later(retry, () => this.read());
  }

  private read(): void {
    this.reading++;
    this.waiting = [];
    this.overflowed = false;
    this.pause?.cancel();
    this.ask(undefined, (page) => this.firstPage(page));
  }

  private ask(cursor: string | undefined, onPage: (page: unknown) => void): void {
    const { reading } = this;
    this.deps.ask(cursor, (error, page) => {
      if (reading !== this.reading) return;
      if (error === undefined) onPage(page);
      else this.failed(error);
    });
  }

  private firstPage(page: unknown): void {
    const first = readPresence(page);
    this.list.begin(first);
    this.nextPage(first);
  }

  private nextPage({ more, members }: PresenceChange): void {
    // Of a large channel the first members are enough: there could be any number of pages.
    if (more === undefined || this.list.isFull || this.list.isCounted || members.length === 0) {
      this.finish();
      return;
    }
    this.ask(more, (page) => {
      const next = readPresence(page);
      this.list.add(next);
      this.nextPage(next);
    });
  }

  private finish(): void {
    const { waiting = [], reading, overflowed } = this;
    this.waiting = undefined;
    this.overflowed = false;
    this.deps.changed(this.list.all);
    if (overflowed) {
      this.reread();
      return;
    }
    for (const change of waiting) {
      if (reading !== this.reading) return;
      if (this.waiting === undefined) this.apply(change);
    }
  }

  /** A refusal is final until the next subscribe. Any other failure is retried, ever more slowly. */
  private failed(error: RealtimeError): void {
    this.waiting = undefined;
    if (error.retryable) this.readLater(this.rereads++);
  }
}
