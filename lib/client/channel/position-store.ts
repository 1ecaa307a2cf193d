import type { Position } from '../../protocol/position.js';
import type { ClientClock } from '../clock.js';
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

/** How long the next position waits for one that is being stored, in milliseconds. */
const SAVE_TIMEOUT_MS = 10_000;

/** What a {@link PositionStore} asks and reports. */
export interface PositionStoreDeps {
  /** Where the subscription stands, and where it starts. */
  readonly cursor: Pick<Cursor<ChannelEvent>, 'position' | 'start'>;
  readonly clock: Pick<ClientClock, 'schedule'>;
  /** The stored position came, and the cursor is there. */
  join(): void;
  /** It cannot be had. */
  end(error: Error): void;
  /** Saving failed. */
  report(error: unknown): void;
  /** Saving takes longer than it should. */
  warn(message: string): void;
}

/** A position that is to be stored, and where. */
interface Unsaved {
  readonly persist: ChannelPersist;
  readonly position: Position;
}

/** Keeps a subscription's position where the application wants it kept, which may answer later. */
export class PositionStore {
  private persist: ChannelPersist | undefined;
  private loading: MaybeLater<Position | undefined>;
  /** What was stored last of this subscription, or is being stored. */
  private saved: Position | undefined;
  /** Where subscriptions that are over stood at their end. */
  private readonly left = new Map<ChannelPersist, Unsaved>();
  private isSaving = false;

  constructor(private readonly deps: PositionStoreDeps) {}

  /** Whether the stored position is waited for: nothing is sent then. */
  get isLoading(): boolean {
    return this.loading !== undefined;
  }

  /** A subscription begins. */
  use(persist: ChannelPersist | undefined, from: MaybeLater<Position | undefined>): void {
    const isLater = isThenable(from);
    this.start(isLater ? undefined : from);
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
          this.start(position);
          this.deps.join();
        }),
      (error: Error) => settled(() => this.deps.end(error)),
    );
  }

  /** The subscription is over: the place where it ended is stored, too. */
  forget(): void {
    const last = this.unsaved;
    if (last !== undefined) {
      // A newer position takes the place of one that waits.
      this.left.set(last.persist, last);
      this.moved();
    }
    this.persist = this.loading = undefined;
  }

  /** The position moved: it is stored once for the events of a turn, and one after the other. */
  moved(): void {
    if (!this.isSaving) void this.save();
  }

  private start(position: Position | undefined): void {
    this.deps.cursor.start(position);
    this.saved = position;
  }

  private get unsaved(): Unsaved | undefined {
    const { persist, saved } = this;
    const { position } = this.deps.cursor;
    return persist === undefined || position === undefined || position === saved
      ? undefined
      : { persist, position };
  }

  private async save(): Promise<void> {
    this.isSaving = true;
    await Promise.resolve();
    for (let next = this.take(); next !== undefined; next = this.take()) await this.write(next);
    this.isSaving = false;
  }

  private take(): Unsaved | undefined {
    for (const [persist, last] of this.left) {
      this.left.delete(persist);
      return last;
    }
    const next = this.unsaved;
    this.saved = next?.position ?? this.saved;
    return next;
  }

  /** Neither throws nor waits for ever. */
  private async write({ persist, position }: Unsaved): Promise<void> {
    const { deps } = this;
    try {
      const saving = persist.save(position);
      if (!isThenable(saving)) return;
      await new Promise<void>((resolve) => {
        const timer = deps.clock.schedule(SAVE_TIMEOUT_MS, () => {
          deps.warn(
            'persist.save() gave a promise that is not settled after 10 s: it is not waited for any more',
          );
          resolve();
        });
        const settled = (): void => {
          timer.cancel();
          resolve();
        };
        saving.then(settled, (error: unknown) => {
          deps.report(error);
          settled();
        });
      });
    } catch (error) {
      deps.report(error);
    }
  }
}
