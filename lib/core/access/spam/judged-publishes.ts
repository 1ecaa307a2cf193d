import { trimOldest } from '../../async/oldest.js';
import { subjectKey } from '../subject-buckets.js';

/** Publishes that are remembered. */
const MAX_PUBLISHES = 20_000;

/** What names a publish (P15). */
interface PublishName {
  readonly producer: string;
  readonly channel: string;
  readonly id: string;
}

/** Publishes that were found to be no spam, for as long as their ids name them: what is sent again is not judged again. */
export class JudgedPublishes {
  private readonly publishes = new Map<string, { readonly fingerprint: string; readonly until: number }>();

  constructor(private readonly capacity = MAX_PUBLISHES) {}

  get size(): number {
    return this.publishes.size;
  }

  /** @param until when its id may name another publish, on the monotonic clock. */
  add(name: PublishName, fingerprint: string, until: number): void {
    const key = keyOf(name);
    this.publishes.delete(key);
    this.publishes.set(key, { fingerprint, until });
    trimOldest(this.publishes, this.capacity);
  }

  has(name: PublishName, fingerprint: string, now: number): boolean {
    const known = this.publishes.get(keyOf(name));
    return known !== undefined && known.fingerprint === fingerprint && now < known.until;
  }
}

function keyOf({ producer, channel, id }: PublishName): string {
  return subjectKey(`${channel} ${id.length} ${id}${producer}`);
}
