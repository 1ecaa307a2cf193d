import type { Position } from '../../protocol/position.js';
import type { Cursor } from './cursor.js';
import type { ChannelEvent, ChannelPersist } from './types.js';

/** What a {@link PositionStore} asks and reports. */
export interface PositionStoreDeps {
  /** Where the subscription stands, and where it starts. */
  readonly cursor: Pick<Cursor<ChannelEvent>, 'position' | 'start'>;
  /** The stored position came, and the cursor is there. */
  readonly loaded: () => void;
  /** It cannot be had. */
  readonly failed: (error: Error) => void;
  /** Saving failed. */
  readonly report: (error: unknown) => void;
}

/** Keeps a subscription's position where the application wants it kept, which may answer later. */
export class PositionStore {
  private persist: ChannelPersist | undefined;
  private loading: Promise<Position | undefined> | undefined;
  private isSaving = false;

  constructor(private readonly deps: PositionStoreDeps) {}

  /** Whether the stored position is waited for: nothing is sent then. */
  get isLoading(): boolean {
    return this.loading !== undefined;
  }

  /** A subscription begins; `later` is its stored position where that has to be waited for. */
  use(persist: ChannelPersist | undefined, later: Promise<Position | undefined> | undefined): void {
    this.persist = persist;
    this.loading = later;
    const settled = (then: () => void): void => {
      if (later !== this.loading) return;
      this.loading = undefined;
      then();
    };
    later?.then(
      (position) =>
        settled(() => {
          this.deps.cursor.start(position);
          this.deps.loaded();
        }),
      (error: Error) => settled(() => this.deps.failed(error)),
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
    const { cursor, report } = this.deps;
    this.isSaving = true;
    let saved: Position | undefined;
    for (let { persist } = this; persist !== undefined && saved !== cursor.position; { persist } = this) {
      await Promise.resolve();
      saved = cursor.position;
      try {
        if (saved !== undefined) await persist.save(saved);
      } catch (error) {
        report(error);
      }
    }
    this.isSaving = false;
  }
}
