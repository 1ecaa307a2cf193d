/** Names are spread over so many counters: forgetting one log makes no more than this part of the other names begin again. */
const COUNTERS = 4_096;

/**
 * Epochs of the logs, or of the rosters, that are not stored. They are derived, so that two reads of a name that was never
 * written agree, and its first append continues what they answered, although nothing is stored for it.
 *
 * Forgetting a log moves its name to an epoch that no log of the store has had: a position of the forgotten log is never true
 * again. The few other names of the same counter move too; who holds the position of an empty log of theirs is told that it is lost.
 */
export class Epochs {
  private readonly counters = new Float64Array(COUNTERS);

  /** @param token Unguessable, and different for every store. */
  constructor(private readonly token: string) {}

  /** The epoch that a log of this name begins with. */
  of(name: string): string {
    return `${this.token}.${(this.counters[counterOf(name)] ?? 0).toString(36)}`;
  }

  /** Moves the name to an epoch that it has never had, and returns that. */
  advance(name: string): string {
    const counter = counterOf(name);
    this.counters[counter] = (this.counters[counter] ?? 0) + 1;
    return this.of(name);
  }
}

/** FNV-1a. Names that a client chooses to meet in one counter gain nothing: it may only make empty logs of its own begin again. */
function counterOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  }
  return (hash ^ (hash >>> 16)) & (COUNTERS - 1);
}
