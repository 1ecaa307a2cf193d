import type { Position } from '../../protocol/position.js';
import { EndQueue, queuedBy, type Expiring } from './end-queue.js';
import type { Ledger } from './ledger.js';
import { ID_BYTES, ID_LANE_BYTES, PRODUCER_BYTES } from './weight.js';

/** Part of the bytes for ids that all anonymous sessions together may hold: a client has a new one with every connection. */
const ANONYMOUS_PART = 0.5;
/** Where no id is remembered, and one does not fit all the same, in milliseconds. */
const DEFAULT_RETRY_MS = 60_000;

/** What is remembered of one append. */
export interface RememberedId<Owner = unknown> {
  /** As {@link idKey} makes it. */
  readonly key: string;
  /** Position of the first append. */
  readonly epoch: string;
  readonly seq: number;
  readonly fingerprint: string;
  /** When the id is forgotten, in whole milliseconds of machine time: V8 makes an object for a fraction. */
  readonly until: number;
  readonly window: IdWindow<Owner>;
  readonly lane: IdLane<Owner>;
  /** Its neighbours in the lane, in the order of the appends. */
  older: RememberedId<Owner> | undefined;
  younger: RememberedId<Owner> | undefined;
}

type ProducerKind = 'application' | 'anonymous' | 'user';

/** Someone whose ids are remembered. */
export interface Producer<Owner = unknown> {
  readonly name: string;
  readonly kind: ProducerKind;
  bytes: number;
  /** The first of its lanes, of which none is empty: one for each length of window that it uses. */
  lanes: IdLane<Owner> | undefined;
}

/** Ids of one producer whose windows have one length: they end in the order in which they came. */
class IdLane<Owner> implements Expiring {
  oldest: RememberedId<Owner> | undefined;
  newest: RememberedId<Owner> | undefined;
  next: IdLane<Owner> | undefined;
  index = -1;
  key = 0;

  /** @param order Number of the lane in its machine. */
  constructor(
    readonly producer: Producer<Owner>,
    readonly windowMs: number,
    readonly order: number,
  ) {}

  /** When its oldest id ends; `Infinity` when it is empty. */
  get until(): number {
    return this.oldest?.until ?? Infinity;
  }

  push(id: RememberedId<Owner>): void {
    id.older = this.newest;
    if (this.newest === undefined) this.oldest = id;
    else this.newest.younger = id;
    this.newest = id;
  }

  delete({ older, younger }: RememberedId<Owner>): void {
    if (older === undefined) this.oldest = younger;
    else older.younger = younger;
    if (younger === undefined) this.newest = older;
    else younger.older = older;
  }
}

/** The ids that one channel's log remembers (P15, P16). */
export class IdWindow<Owner> {
  private ids: Map<string, RememberedId<Owner>> | undefined;

  /** @param owner Whose ids these are. */
  constructor(readonly owner: Owner) {}

  get size(): number {
    return this.ids?.size ?? 0;
  }

  find(key: string): RememberedId<Owner> | undefined {
    return this.ids?.get(key);
  }

  /** Ids of appends after `seq`. */
  after(seq: number): readonly RememberedId<Owner>[] {
    return [...(this.ids?.values() ?? [])].filter((id) => id.seq > seq);
  }

  /** @internal Only {@link IdMemory} adds and deletes, as it counts. */
  add(id: RememberedId<Owner>): void {
    (this.ids ??= new Map<string, RememberedId<Owner>>()).set(id.key, id);
  }

  /** @internal */
  delete(id: RememberedId<Owner>): void {
    this.ids?.delete(id.key);
    // A map that was large keeps its table.
    if (this.ids?.size === 0) this.ids = undefined;
  }
}

/**
 * The remembered ids of a machine. None is forgotten before its window ends: a late retry would be appended twice (G4). So their
 * memory is bounded by refusing, and divided so that nobody can spend it for the others:
 *
 * - One producer holds at most `share` of the bytes that are still free. Alone it may hold a ninth of all (with `share` 1/8);
 *   the more is used, the less it may hold, and what is left is for those who hold little or nothing.
 * - All anonymous sessions together (`s:…`) hold at most half, since a client has a new name with every connection.
 * - The application (`a:…`) is trusted, and bounded only by what is free.
 */
export class IdMemory<Owner> {
  private readonly producers = new Map<string, Producer<Owner>>();
  /** Lanes that are not empty. */
  private readonly ends = new EndQueue<IdLane<Owner>>();
  /** Lanes that were ever made. */
  private made = 0;
  private total = 0;
  private anonymous = 0;

  /**
   * @param onEmpty Called when the last id of a window has ended.
   * @param max Most bytes that ids may hold.
   */
  constructor(
    private readonly ledger: Ledger,
    private readonly onEmpty: (owner: Owner) => void,
    private readonly max: number,
    private readonly share: number,
  ) {}

  /** Bytes that ids and their producers hold. */
  get bytes(): number {
    return this.total;
  }

  /** The producer of that name; one that has no ids yet is not kept until it has one. */
  producer(name: string): Producer<Owner> {
    return this.producers.get(name) ?? { name, kind: kindOf(name), bytes: 0, lanes: undefined };
  }

  /** What an id will weigh, with its producer and its lane when they are new. */
  cost(producer: Producer<Owner>, key: string, fingerprint: string, windowMs: number): number {
    const own = idBytes(key, fingerprint);
    if (producer.lanes === undefined) return own + ID_LANE_BYTES + producerBytes(producer.name);
    return laneOf(producer, windowMs) === undefined ? own + ID_LANE_BYTES : own;
  }

  /**
   * Whether the producer may have one more id remembered.
   *
   * @param cost As {@link cost} gives it.
   */
  admits({ kind, bytes }: Producer<Owner>, cost: number): boolean {
    const free = this.max - this.total;
    if (kind === 'application') return cost <= free;
    const left = kind === 'user' ? free : Math.min(free, this.max * ANONYMOUS_PART - this.anonymous);
    return bytes + cost <= left * this.share;
  }

  /** How long a producer that is not admitted should wait, in milliseconds: until an id of it ends, or any where it has none. */
  retryAfter({ lanes }: Producer<Owner>, now: number): number {
    let until = lanes === undefined ? this.ends.next : Infinity;
    for (let lane = lanes; lane !== undefined; lane = lane.next) until = Math.min(until, lane.until);
    return until === Infinity ? DEFAULT_RETRY_MS : Math.max(1, Math.ceil(until - now));
  }

  remember(
    window: IdWindow<Owner>,
    key: string,
    producer: Producer<Owner>,
    fingerprint: string,
    { epoch, seq }: Position,
    now: number,
    windowMs: number,
  ): void {
    const found = laneOf(producer, windowMs);
    const lane = found ?? this.open(producer, windowMs);
    const id: RememberedId<Owner> = {
      key,
      epoch,
      seq,
      fingerprint,
      until: Math.ceil(now + windowMs),
      window,
      lane,
      older: undefined,
      younger: undefined,
    };
    window.add(id);
    lane.push(id);
    if (found === undefined) this.ends.track(lane);
    this.book(producer, idBytes(key, fingerprint));
  }

  /** Forgets the ids whose windows have ended by `now`. */
  expire(now: number): void {
    if (this.ends.next > now) return;
    for (const lane of this.ends.take(now)) {
      for (let id = lane.oldest; id !== undefined && id.until <= now; id = lane.oldest) this.forget(id);
      this.ends.track(lane);
    }
  }

  /** Forgets the ids of appends after `seq`: they were lost together with their events. */
  forgetAfter(window: IdWindow<Owner>, seq: number): void {
    for (const id of window.after(seq)) this.forget(id);
  }

  /** @param nameOf Names the owner of a window. */
  save(nameOf: (owner: Owner) => string): IdMemoryState {
    const lanes: IdLaneState[] = [];
    for (const { name, lanes: first } of this.producers.values()) {
      const own: IdLaneState[] = [];
      for (let lane = first; lane !== undefined; lane = lane.next) {
        const ids: IdState[] = [];
        for (let id = lane.oldest; id !== undefined; id = id.younger)
          ids.push([nameOf(id.window.owner), id.key, id.fingerprint, id.epoch, id.seq, id.until]);
        own.push([name, lane.windowMs, lane.order, queuedBy(lane), ids]);
      }
      // The last one that was made is the first.
      lanes.push(...own.reverse());
    }
    return { made: this.made, lanes };
  }

  /** Into a new one; the ledger has what it weighs already. @param windowOf The window of an owner by its name. */
  restore({ made, lanes }: IdMemoryState, windowOf: (name: string) => IdWindow<Owner>): void {
    for (const [name, windowMs, order, key, ids] of lanes) {
      const producer = this.producer(name);
      this.made = order - 1;
      const lane = this.open(producer, windowMs);
      for (const [owner, idKeyText, fingerprint, epoch, seq, until] of ids) {
        const window = windowOf(owner);
        const id = { key: idKeyText, epoch, seq, fingerprint, until, window, lane };
        const linked = { ...id, older: undefined, younger: undefined };
        window.add(linked);
        lane.push(linked);
        this.book(producer, idBytes(idKeyText, fingerprint));
      }
      this.ends.restore(lane, key);
    }
    this.made = made;
  }

  private forget(id: RememberedId<Owner>): void {
    const { window, lane } = id;
    window.delete(id);
    lane.delete(id);
    this.book(lane.producer, -idBytes(id.key, id.fingerprint));
    if (lane.oldest === undefined) this.close(lane);
    if (window.size === 0) this.onEmpty(window.owner);
  }

  private open(producer: Producer<Owner>, windowMs: number): IdLane<Owner> {
    this.made += 1;
    const lane = new IdLane(producer, windowMs, this.made);
    if (producer.lanes === undefined) {
      this.producers.set(producer.name, producer);
      this.book(producer, producerBytes(producer.name));
    }
    lane.next = producer.lanes;
    producer.lanes = lane;
    this.book(producer, ID_LANE_BYTES);
    return lane;
  }

  /** Gives up a lane that is empty, and its producer when that was its last. */
  private close(lane: IdLane<Owner>): void {
    const { producer } = lane;
    this.ends.delete(lane);
    if (producer.lanes === lane) producer.lanes = lane.next;
    for (let other = producer.lanes; other !== undefined; other = other.next)
      if (other.next === lane) other.next = lane.next;
    this.book(producer, -ID_LANE_BYTES);
    if (producer.lanes !== undefined) return;
    this.producers.delete(producer.name);
    this.book(producer, -producerBytes(producer.name));
  }

  private book(producer: Producer<Owner>, bytes: number): void {
    producer.bytes += bytes;
    this.total += bytes;
    if (producer.kind === 'anonymous') this.anonymous += bytes;
    this.ledger.charge(bytes);
  }
}

type IdState = readonly [
  owner: string,
  key: string,
  fingerprint: string,
  epoch: string,
  seq: number,
  until: number,
];
type IdLaneState = readonly [
  producer: string,
  windowMs: number,
  order: number,
  key: number | null,
  ids: readonly IdState[],
];

/** {@link IdMemory} in a checkpoint: of each producer and window, the ids in their order. */
export interface IdMemoryState {
  readonly made: number;
  readonly lanes: readonly IdLaneState[];
}

/**
 * The key of a publish in an {@link IdWindow}. The length keeps pairs apart whose concatenation is the same; both parts may
 * hold any character.
 */
export function idKey(producer: string, id: string): string {
  return `${producer.length}:${producer}${id}`;
}

function laneOf<Owner>(producer: Producer<Owner>, windowMs: number): IdLane<Owner> | undefined {
  let lane = producer.lanes;
  while (lane !== undefined && lane.windowMs !== windowMs) lane = lane.next;
  return lane;
}

function idBytes(key: string, fingerprint: string): number {
  return ID_BYTES + 2 * (key.length + fingerprint.length);
}

function producerBytes(name: string): number {
  return PRODUCER_BYTES + 2 * name.length;
}

function kindOf(producer: string): ProducerKind {
  if (producer.startsWith('s:')) return 'anonymous';
  return producer.startsWith('a:') ? 'application' : 'user';
}
