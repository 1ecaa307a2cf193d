import type { Position } from '../../protocol/position.js';
import type { Ledger } from './ledger.js';
import { RingBuffer } from './ring.js';
import { ID_BYTES, PRODUCER_BYTES } from './weight.js';

/** Part of the bytes for ids that all anonymous sessions together may hold: a client has a new one with every connection. */
const ANONYMOUS_PART = 0.5;
/** Where no id is remembered, and one does not fit all the same, in milliseconds. */
const DEFAULT_RETRY_MS = 60_000;

/** What is remembered of one append. */
export interface RememberedId<Owner = unknown> {
  /** As {@link idKey} makes it. */
  readonly key: string;
  /** Result of the first append. */
  readonly position: Position;
  readonly fingerprint: string;
  /** When the id is forgotten, in the store's milliseconds. */
  readonly until: number;
  readonly bytes: number;
  readonly window: IdWindow<Owner>;
  readonly producer: Producer<Owner>;
  /** The next one that the producer appended. */
  younger: RememberedId<Owner> | undefined;
  forgotten: boolean;
}

type ProducerKind = 'application' | 'anonymous' | 'user';

/** Ids of one producer, in the order of the appends. */
export interface Producer<Owner = unknown> {
  readonly name: string;
  readonly kind: ProducerKind;
  bytes: number;
  oldest: RememberedId<Owner> | undefined;
  newest: RememberedId<Owner> | undefined;
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
    return [...(this.ids?.values() ?? [])].filter(({ position }) => position.seq > seq);
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

/** Ids whose windows have one length: they end in the order in which they came. */
interface Queue<Owner> {
  readonly windowMs: number;
  readonly ids: RingBuffer<RememberedId<Owner>>;
}

/**
 * The remembered ids of a store. None is forgotten before its window ends: a late retry would be appended twice (G4). So their
 * memory is bounded by refusing, and divided so that nobody can spend it for the others:
 *
 * - One producer holds at most `share` of the bytes that are still free. Alone it may hold a ninth of all (with `share` 1/8);
 *   the more is used, the less it may hold, and what is left is for those who hold little or nothing.
 * - All anonymous sessions together (`s:…`) hold at most half, since a client has a new name with every connection.
 * - The application (`a:…`) is trusted, and bounded only by what is free.
 */
export class IdMemory<Owner> {
  private readonly producers = new Map<string, Producer<Owner>>();
  /** One for each length of window, of which an application has few. */
  private readonly queues: Queue<Owner>[] = [];
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

  get count(): number {
    return this.queues.reduce((sum, { ids }) => sum + ids.length, 0);
  }

  /** The producer of that name; one that has no ids yet is not kept until it has one. */
  producer(name: string): Producer<Owner> {
    return (
      this.producers.get(name) ?? {
        name,
        kind: kindOf(name),
        bytes: 0,
        oldest: undefined,
        newest: undefined,
      }
    );
  }

  /** What an id will weigh, with its producer when that is new. */
  cost({ name, oldest }: Producer<Owner>, key: string, fingerprint: string): number {
    return oldest === undefined ? idBytes(key, fingerprint) + producerBytes(name) : idBytes(key, fingerprint);
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

  /** How long a producer that is not admitted should wait, in milliseconds: until its oldest id ends, or any where it has none. */
  retryAfter({ oldest }: Producer<Owner>, now: number): number {
    const until = oldest?.until ?? this.next;
    return until === Infinity ? DEFAULT_RETRY_MS : Math.max(1, Math.ceil(until - now));
  }

  /** When the next id ends; `Infinity` when none is remembered. */
  private get next(): number {
    let next = Infinity;
    for (const { ids } of this.queues) {
      const { until = Infinity } = ids.at(0) ?? {};
      if (until < next) next = until;
    }
    return next;
  }

  remember(
    window: IdWindow<Owner>,
    key: string,
    producer: Producer<Owner>,
    fingerprint: string,
    position: Position,
    now: number,
    windowMs: number,
  ): void {
    const id: RememberedId<Owner> = {
      key,
      position,
      fingerprint,
      until: now + windowMs,
      bytes: idBytes(key, fingerprint),
      window,
      producer,
      younger: undefined,
      forgotten: false,
    };
    window.add(id);
    let { bytes } = id;
    if (producer.newest === undefined) {
      producer.oldest = id;
      this.producers.set(producer.name, producer);
      bytes += producerBytes(producer.name);
    } else producer.newest.younger = id;
    producer.newest = id;
    this.queueOf(windowMs).push(id);
    this.book(producer, bytes);
  }

  /** Forgets the ids whose windows have ended by `now`. */
  expire(now: number): void {
    for (let index = this.queues.length - 1; index >= 0; index -= 1) {
      const { ids } = this.queues[index] as Queue<Owner>;
      for (let id = ids.at(0); id !== undefined && id.until <= now; id = ids.at(0)) {
        ids.shift();
        this.forget(id);
      }
      if (ids.length === 0) this.queues.splice(index, 1);
    }
  }

  /** Forgets the ids of appends after `seq`: they were lost together with their events. */
  forgetAfter(window: IdWindow<Owner>, seq: number): void {
    for (const id of window.after(seq)) this.forget(id);
  }

  private forget(id: RememberedId<Owner>): void {
    if (id.forgotten) return;
    id.forgotten = true;
    const { window, producer } = id;
    window.delete(id);
    this.book(producer, -id.bytes);
    while (producer.oldest?.forgotten === true) producer.oldest = producer.oldest.younger;
    if (producer.oldest === undefined) {
      this.producers.delete(producer.name);
      this.book(producer, -producer.bytes);
    }
    if (window.size === 0) this.onEmpty(window.owner);
  }

  private queueOf(windowMs: number): RingBuffer<RememberedId<Owner>> {
    for (const queue of this.queues) if (queue.windowMs === windowMs) return queue.ids;
    const ids = new RingBuffer<RememberedId<Owner>>();
    this.queues.push({ windowMs, ids });
    return ids;
  }

  private book(producer: Producer<Owner>, bytes: number): void {
    producer.bytes += bytes;
    this.total += bytes;
    if (producer.kind === 'anonymous') this.anonymous += bytes;
    this.ledger.charge(bytes);
  }
}

/**
 * The key of a publish in an {@link IdWindow}. The length keeps pairs apart whose concatenation is the same; both parts may
 * hold any character.
 */
export function idKey(producer: string, id: string): string {
  return `${producer.length}:${producer}${id}`;
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
