import { RealtimeError } from '../../protocol/realtime-error.js';
import { trimOldest } from '../async/oldest.js';
import { subjectKey } from './subject-buckets.js';

/** Most pairs of a client and a channel whose last publish is known. */
const MAX_PLACES = 50_000;

/** The last publish of a client in a channel. */
interface Place {
  /** When it came, on the monotonic clock. */
  readonly at: number;
  readonly id: string;
  /** The time of the one before it, which counts again if this one comes to nothing. */
  before: number;
  /** How often this one is under way: it may have been sent again. */
  holds: number;
  /** Whether it is in the log. */
  isKept: boolean;
}

/** A publish that has its place. */
export interface SlowPlace {
  /** Called once. @param isAppended whether its event is in the log; one that is not gives its place back. */
  end(isAppended: boolean): void;
}

/**
 * When clients last published in channels with slow mode. A publish takes its place before its handler runs, so that of two at once
 * one is refused. Other nodes learn of a publish when its event arrives there. Above the bound what is oldest is forgotten.
 */
export class SlowMode {
  /** In the order of their last publish. */
  private readonly places = new Map<string, Place>();

  constructor(private readonly capacity = MAX_PLACES) {}

  get size(): number {
    return this.places.size;
  }

  /**
   * @param client the user, or the address of an anonymous client.
   * @param id of the publish, with its producer: what is sent again has its place already.
   * @param dedupeMs how long the log knows what is sent again. Afterwards, and where it does not, the id names a publish of its own.
   * @param now the monotonic clock.
   * @throws RealtimeError `muted` for a publish that comes too soon.
   */
  take(
    client: string,
    channel: string,
    id: string,
    everyMs: number,
    dedupeMs: number,
    now: number,
  ): SlowPlace {
    const key = keyOf(client, channel);
    const last = this.places.get(key);
    if (last?.id === id && now - last.at < dedupeMs) {
      last.holds++;
      return this.ending(key, last);
    }
    const waitMs = last === undefined ? 0 : last.at + everyMs - now;
    if (waitMs > 0)
      throw new RealtimeError('muted', {
        message: 'This channel is in slow mode',
        reason: 'slow_mode',
        retryAfterMs: Math.ceil(waitMs),
      });
    return this.ending(
      key,
      this.put(key, { at: now, id, before: last?.at ?? -Infinity, holds: 1, isKept: false }),
    );
  }

  /** An event of a client has arrived. @param now the monotonic clock. */
  note(client: string, channel: string, id: string, now: number): void {
    const key = keyOf(client, channel);
    const last = this.places.get(key);
    if (last?.id === id) {
      last.isKept = true;
      return;
    }
    // One that is under way here has the place; if it comes to nothing, this one counts.
    if (last !== undefined && last.holds > 0) last.before = now;
    else this.put(key, { at: now, id, before: now, holds: 0, isKept: true });
  }

  private put(key: string, place: Place): Place {
    this.places.delete(key);
    this.places.set(key, place);
    trimOldest(this.places, this.capacity);
    return place;
  }

  private ending(key: string, place: Place): SlowPlace {
    return {
      end: (isAppended) => {
        place.holds--;
        if (isAppended) place.isKept = true;
        if (place.holds > 0 || place.isKept || this.places.get(key) !== place) return;
        if (place.before === -Infinity) this.places.delete(key);
        else this.places.set(key, { at: place.before, id: '', before: place.before, holds: 0, isKept: true });
      },
    };
  }
}

function keyOf(client: string, channel: string): string {
  // The name of a channel has no blank.
  return `${channel} ${subjectKey(client)}`;
}
