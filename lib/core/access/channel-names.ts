import { hash } from 'node:crypto';
import { RealtimeError } from '../../protocol/realtime-error.js';

/** Names of one client that are kept as a plain list. */
const FEW = 16;
/** Names of all clients that are remembered; beyond it those of the clients that came first are forgotten. */
const MAX_NAMES = 1_000_000;

export interface ChannelNamesOptions {
  /** Most names of one client in a window. */
  readonly max: number;
  readonly windowMs: number;
  /** Makes the hashes of names unpredictable. */
  readonly secret: string;
}

/** Names as hashes of 31 bits: two names with one hash count as one. */
class NameSet {
  /** A list of {@link FEW}, then a table with open addressing in which 0 is free. */
  private hashes: number[] | Uint32Array;
  size = 2;

  constructor(first: number, second: number) {
    this.hashes = [first, second];
  }

  has(name: number): boolean {
    const { hashes } = this;
    return Array.isArray(hashes) ? hashes.includes(name) : hashes[placeOf(hashes, name)] === name;
  }

  /** Adds a hash that is not in it. */
  add(name: number): void {
    this.size++;
    if (Array.isArray(this.hashes)) {
      this.hashes.push(name);
      if (this.size > FEW) this.grow(this.hashes);
      return;
    }
    this.hashes[placeOf(this.hashes, name)] = name;
    if (this.size * 2 > this.hashes.length) this.grow(this.hashes);
  }

  private grow(from: Iterable<number>): void {
    const table = new Uint32Array(4 * 2 ** Math.ceil(Math.log2(this.size)));
    for (const name of from) if (name !== 0) table[placeOf(table, name)] = name;
    this.hashes = table;
  }
}

/** Most clients use one name, which needs no set. */
type FewNames = number | NameSet | undefined;

function sizeOf(names: FewNames): number {
  return names === undefined ? 0 : typeof names === 'number' ? 1 : names.size;
}

function isAmong(names: FewNames, name: number): boolean {
  return typeof names === 'object' ? names.has(name) : names === name;
}

function placeOf(table: Uint32Array, name: number): number {
  let place = name % table.length;
  while (table[place] !== 0 && table[place] !== name) place = (place + 1) % table.length;
  return place;
}

/** The names of one client, in two halves of the window. Its numbers are small integers, which V8 keeps in the object. */
class Names {
  private younger: FewNames;
  /** How many of the younger are among the older too. */
  private repeated = 0;
  private older: FewNames;

  constructor(
    /** When the window began, in whole milliseconds. */
    public since: number,
  ) {}

  /** Names that are kept: one that is in both halves twice. */
  get kept(): number {
    return sizeOf(this.younger) + sizeOf(this.older);
  }

  /** Different names. */
  get size(): number {
    return this.kept - this.repeated;
  }

  has(name: number): boolean {
    return isAmong(this.younger, name) || isAmong(this.older, name);
  }

  /** Adds a name. @returns `false` where it is there already. */
  add(name: number): boolean {
    const { younger } = this;
    if (isAmong(younger, name)) return false;
    if (isAmong(this.older, name)) this.repeated++;
    if (younger === undefined) this.younger = name;
    else if (typeof younger === 'number') this.younger = new NameSet(younger, name);
    else younger.add(name);
    return true;
  }

  /** Half of the window has passed, or all of it: what is younger is older now, or forgotten. */
  age(isAll: boolean, now: number): void {
    this.older = isAll ? undefined : this.younger;
    this.younger = undefined;
    this.repeated = 0;
    this.since = now;
  }
}

/**
 * Bounds how many different channels one client names in a window of time: a node, or the broker, may keep something for each of
 * them. A name that was used in the window is always admitted again.
 */
export class ChannelNames {
  private readonly clients = new Map<string, Names>();
  private total = 0;
  private sweepAt = 256;

  private readonly seed: number;

  constructor(private readonly options: ChannelNamesOptions) {
    this.seed = Number.parseInt(hash('sha1', `channel names ${options.secret}`).slice(0, 8), 16);
  }

  /** Clients that are remembered. */
  get size(): number {
    return this.clients.size;
  }

  /**
   * @param client the user, or the address of an anonymous client. @param now the monotonic clock, in milliseconds.
   * @returns `rate_limited` for a name beyond the bound; `undefined` admits it, and counts nothing.
   */
  refusal(client: string, channel: string, now: number): RealtimeError | undefined {
    const names = this.clients.get(client);
    if (names === undefined) return undefined;
    this.move(names, now);
    return names.has(hashOf(channel, this.seed)) ? undefined : this.refuseAnother(names, now);
  }

  /** Counts a name. @returns as {@link refusal}: a name that is refused is not counted. */
  use(client: string, channel: string, now: number): RealtimeError | undefined {
    const names = this.namesOf(client, now);
    const name = hashOf(channel, this.seed);
    const refusal = names.has(name) ? undefined : this.refuseAnother(names, now);
    if (refusal !== undefined || !names.add(name)) return refusal;
    this.total++;
    if (this.total > MAX_NAMES) this.forgetFirst();
    return undefined;
  }

  private refuseAnother(names: Names, now: number): RealtimeError | undefined {
    const { max, windowMs } = this.options;
    if (names.size < max) return undefined;
    return new RealtimeError(
      'rate_limited',
      `More than ${max} different channels in ${windowMs} ms (limits.maxDistinctChannels): use fewer, or wait`,
      { retryAfterMs: Math.max(1, names.since + windowMs / 2 - now) },
    );
  }

  private namesOf(client: string, now: number): Names {
    let names = this.clients.get(client);
    if (names === undefined) {
      if (this.clients.size >= this.sweepAt) this.sweep(now);
      names = new Names(Math.floor(now));
      this.clients.set(client, names);
    }
    this.move(names, now);
    return names;
  }

  /** Moves the window to `now`. */
  private move(names: Names, now: number): void {
    const { windowMs } = this.options;
    const ageMs = now - names.since;
    if (ageMs < windowMs / 2) return;
    this.total -= names.kept;
    names.age(ageMs >= windowMs, Math.floor(now));
    this.total += names.kept;
  }

  private sweep(now: number): void {
    for (const [client, { since }] of this.clients)
      if (now - since >= this.options.windowMs) this.forget(client);
    // Doubling keeps the cost of sweeping per new client constant, however many are active at once.
    this.sweepAt = Math.max(256, this.clients.size * 2);
  }

  private forgetFirst(): void {
    const [first] = this.clients.keys();
    if (first !== undefined) this.forget(first);
  }

  private forget(client: string): void {
    const names = this.clients.get(client);
    if (names === undefined) return;
    this.clients.delete(client);
    this.total -= names.kept;
  }
}

/** FNV-1a; never 0. */
function hashOf(name: string, seed: number): number {
  let mixed = (0x811c9dc5 ^ seed) >>> 0;
  for (let index = 0; index < name.length; index++) {
    mixed ^= name.charCodeAt(index);
    mixed = Math.imul(mixed, 0x01000193) >>> 0;
  }
  // 31 bits: the one number of most clients is then no object of its own.
  return mixed >>> 1 === 0 ? 1 : mixed >>> 1;
}
