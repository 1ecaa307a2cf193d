import { trimOldest } from '../../async/oldest.js';
import { subjectKey } from '../subject-buckets.js';

/** Clients whose strikes are known. */
const MAX_CLIENTS = 50_000;
/**
 * A strike counts for what comes within this time, in milliseconds: what a client had sent when it was warned is not sent in spite of
 * the warning.
 */
const ONE_STRIKE_MS = 3_000;

interface Standing {
  /** At the time `at`. */
  strikes: number;
  at: number;
}

/** The strikes of clients on this node, each of which is forgotten after a time. Above the bound the oldest are forgotten. */
export class Strikes {
  private readonly standings = new Map<string, Standing>();

  constructor(
    private readonly decayMs: number,
    private readonly capacity = MAX_CLIENTS,
  ) {}

  get size(): number {
    return this.standings.size;
  }

  /**
   * @param client the user, or the address of an anonymous client.
   * @param now the monotonic clock.
   * @returns how many strikes the client has with this one; `undefined` where it belongs to the last one.
   */
  add(client: string, now: number): number | undefined {
    const key = subjectKey(client);
    const last = this.standings.get(key);
    if (last !== undefined && now - last.at < ONE_STRIKE_MS) return undefined;
    const strikes = this.left(last, now) + 1;
    this.put(key, { strikes, at: now });
    return strikes;
  }

  /** Another node has taken a step. @param strikes that the client has at least. @param now the monotonic clock. */
  learn(client: string, strikes: number, now: number): void {
    const key = subjectKey(client);
    const left = this.left(this.standings.get(key), now);
    if (left < strikes) this.put(key, { strikes, at: now });
  }

  /** Strikes of a client. @param now the monotonic clock. */
  count(client: string, now: number): number {
    return this.left(this.standings.get(subjectKey(client)), now);
  }

  private left(standing: Standing | undefined, now: number): number {
    if (standing === undefined) return 0;
    return Math.max(0, standing.strikes - Math.floor((now - standing.at) / this.decayMs));
  }

  private put(key: string, standing: Standing): void {
    this.standings.delete(key);
    this.standings.set(key, standing);
    trimOldest(this.standings, this.capacity);
  }
}
