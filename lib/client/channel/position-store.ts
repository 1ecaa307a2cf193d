import type { Position } from '../../protocol/position.js';
import { isThenable } from '../emitter.js';
import type { Cursor } from './cursor.js';
import { requirePosition } from './messages.js';
import type { ChannelEvent, ChannelPersist } from './types.js';

/** A value, or a promise of it. */
export type MaybeLater<Value> = Value | Promise<Value>;

/**
 * The stored position.
 *
 * @throws RealtimeError `bad_request` for what is none. What `load` throws.
 */
export function loadPosition(persist: ChannelPersist | undefined): MaybeLater<Position | undefined> {
  const stored = persist?.load();
  return isThenable(stored) ? stored.then(requirePosition) : requirePosition(stored);
}

/** What a {@link PositionStore} asks and reports. */
export interface PositionStoreDeps {
  /** Where the subscription stands, and where it starts. */
  readonly cursor: Pick<Cursor<ChannelEvent>, 'position' | 'start'>;
  /** The stored position came, and the cursor is there. */
  join(): void;
  /** It cannot be had. */
  end(error: Error): void;
  /** Saving failed. */
  report(error: unknown): void;
}

/** Keeps a subscription's position where the application wants it kept, which may answer later. */
export class PositionStore {
  private persist: ChannelPersist | undefined;
  private loading: MaybeLater<Position | undefined>;
  private isSaving = false;

  constructor(private readonly deps: PositionStoreDeps) {}

  /** Whether the stored position is waited for: nothing is sent then. */
  get isLoading(): boolean {
    return this.loading !== undefined;
  }

  /** A subscription begins. */
  use(persist: ChannelPersist | undefined, from: MaybeLater<Position | undefined>): void {
    const { cursor } = this.deps;
    const isLater = isThenable(from);
    cursor.start(isLater ? undefined : from);
    this.persist = persist;
    this.loading = isLater ? from : undefined;
    if (!isLater) return;
    const settled = (then: () => void): void => {
      if (from !== this.loading) return;
      this.loading = undefined;
      then();
    };
    from.then(
      (position) =>
        settled(() => {
          cursor.start(position);
          this.deps.join();
        }),
      (error: Error) => settled(() => this.deps.end(error)),
    );
  }

  /** The subscription is over. */
  forget(): void {
    this.persist = this.loading = undefined;
  }

  /** The position moved: it is stored once for the events of a turn, and one after the other. */
  moved(): void {
    if (!this.isSaving) void this.save();
  }

  private async save(): Promise<void> {
    const { cursor } = this.deps;
    this.isSaving = true;
    let saved: Position | undefined;
    for (let { persist } = this; persist !== undefined && saved !== cursor.position; { persist } = this) {
      await Promise.resolve();
      saved = cursor.position;
      try {
        if (saved !== undefined) await persist.save(saved);
      } catch (error) {
        this.deps.report(error);
      }
    }
    this.isSaving = false;
  }
}
