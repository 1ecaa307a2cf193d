import { now } from './clock.mjs';
import { FEEDS } from './names.mjs';

/** What one client was given. */
export class Received {
  /** When each event of each feed came first. */
  feeds = FEEDS.map(() => []);
  /** Publishes of the room, by id, and how often each came. */
  room = new Map();
  /** Events of the feeds that came again, and that came behind a later one. */
  doubled = 0;
  outOfOrder = 0;
  /** Publishes of the room that came behind a later one of the same client. */
  saidOutOfOrder = 0;
  /** Ranges that were announced as missing. */
  gaps = 0;
  troubles = [];
  lastAt = 0;
  #highest = FEEDS.map(() => -1);
  #highestOf = new Map();

  tick({ feed, n }) {
    this.lastAt = now();
    const times = this.feeds[feed];
    if (times[n] !== undefined) {
      this.doubled++;
      return;
    }
    times[n] = this.lastAt;
    if (n < this.#highest[feed]) this.outOfOrder++;
    else this.#highest[feed] = n;
  }

  said({ id, by, n }) {
    this.lastAt = now();
    const times = (this.room.get(id) ?? 0) + 1;
    this.room.set(id, times);
    if (times > 1) return;
    const highest = this.#highestOf.get(by) ?? -1;
    if (n < highest) this.saidOutOfOrder++;
    else this.#highestOf.set(by, n);
  }

  gap() {
    this.gaps++;
  }

  trouble(error) {
    this.troubles.push(String(error));
  }
}
