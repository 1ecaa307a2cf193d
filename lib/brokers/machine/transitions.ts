import type { Hold, Transition } from '../../core/ports/transitions.js';
import { readThing, thingName } from '../common/thing-name.js';
import type { Command, Done, Full, Moment, Taken } from './commands.js';
import type { Digest } from './digest.js';
import { EndQueue, queuedBy, type Expiring } from './end-queue.js';
import type { Epochs } from './epochs.js';
import { DONE, FULL } from './full.js';
import { Lease, type LeaseState } from './lease.js';
import type { Ledger } from './ledger.js';
import type { NodeLeases } from './nodes.js';
import { DEVICE_BYTES, MEMBER_BYTES } from './weight.js';

/** Most records that wait for a consumer; beyond it the oldest are dropped. */
const MAX_RECORDS = 20_000;
/** How long a node is the consumer after it last asked. */
const CONSUMER_MS = 5_000;

interface Holder {
  readonly generation: number;
  readonly lease: Lease;
}

/** A thing that is held. */
class Thing implements Expiring {
  readonly holders = new Map<string, Holder>();
  index = -1;
  key = 0;

  /** @param order Number of the thing in its machine. */
  constructor(
    readonly name: string,
    readonly order: number,
  ) {}

  /** The latest end of its holders; `Infinity` when it has none. */
  get until(): number {
    if (this.holders.size === 0) return Infinity;
    let latest = -Infinity;
    for (const { lease } of this.holders.values()) latest = Math.max(latest, lease.until);
    return latest;
  }
}

interface TransitionsRoom {
  reserve(bytes: number): boolean;
}

/** Transitions of a machine: what is held, by whom, and the record of what began and ended. */
export class Transitions {
  private readonly things = new Map<string, Thing>();
  private readonly ends = new EndQueue<Thing>();
  private readonly records = new Map<string, Transition>();
  /** Ids of records that the consumer was handed. */
  private handed = new Set<string>();
  private consumer: string | undefined;
  private consumerUntil = -Infinity;
  private made = 0;
  private written = 0;
  private lastAt = -Infinity;

  constructor(
    private readonly room: TransitionsRoom,
    private readonly nodes: NodeLeases,
    private readonly ledger: Ledger,
    /** Of the logs: they make ids of records differ from those of other logs, such as the one before a restart. */
    private readonly epochs: Epochs,
  ) {}

  /** When the next holder may end. */
  get next(): number {
    return this.ends.next;
  }

  hold(command: Command<'hold'>, at: Moment): Done | Full {
    const lease = Lease.of(command, this.nodes, at.now);
    let refused = false;
    for (const hold of command.holds) refused = !this.add(hold, lease, at) || refused;
    return refused ? FULL : DONE;
  }

  release({ hold, graceMs }: Command<'release'>, at: Moment): Done {
    const thing = this.things.get(thingName(hold));
    const holder = thing?.holders.get(hold.holder);
    if (thing === undefined || holder === undefined || isFenced(holder, hold, at.now)) return DONE;
    if (graceMs > 0) {
      const lease = Lease.until(at.now + graceMs);
      thing.holders.set(hold.holder, { generation: hold.generation, lease });
    } else this.drop(thing, hold.holder);
    this.settle(thing, at.now, at);
    return DONE;
  }

  take({ node, limit }: Command<'take'>, { now }: Moment): Taken {
    const isTaken = this.consumer !== undefined && this.consumerUntil > now;
    if (isTaken && this.consumer !== node) return { ok: true, transitions: [] };
    if (!isTaken) this.handed = new Set();
    this.consumer = node;
    this.consumerUntil = now + CONSUMER_MS;
    const transitions: Transition[] = [];
    for (const record of this.records.values()) {
      if (transitions.length >= limit) break;
      if (!this.handed.has(record.id)) transitions.push(record);
    }
    for (const { id } of transitions) this.handed.add(id);
    return { ok: true, transitions };
  }

  done({ ids }: Command<'done'>): Done {
    for (const id of ids) this.forget(id);
    return DONE;
  }

  /** Ends what has run out by the moment, in the order of the ends. */
  expire(at: Moment): void {
    if (this.ends.next > at.now) return;
    for (const thing of this.ends.take(at.now)) this.settle(thing, thing.until, at);
  }

  /** To be called when the lease of a node ended before its time. */
  nodeEnded(node: string): void {
    if (this.consumer === node) this.consumer = undefined;
    this.ends.trackAll();
  }

  mixInto(digest: Digest): void {
    for (const count of [this.made, this.written, this.records.size]) digest.number(count);
  }

  save(): TransitionsState {
    const { made, written, lastAt, consumer, consumerUntil, nodes } = this;
    const things = [...this.things.values()].map((thing): ThingState => {
      const holders = [...thing.holders].map(
        ([name, { generation, lease }]) => [name, generation, lease.save(nodes)] as const,
      );
      return [thing.name, thing.order, queuedBy(thing), holders];
    });
    return {
      counts: [made, written],
      ...(lastAt === -Infinity ? {} : { lastAt }),
      ...(consumer === undefined ? {} : { consumer: [consumer, consumerUntil] }),
      things,
      records: [...this.records.values()],
      handed: [...this.handed],
    };
  }

  /** Into a new one; the ledger has what it weighs already. */
  restore({ counts, lastAt, consumer, things, records, handed }: TransitionsState): void {
    [this.made, this.written] = counts;
    if (lastAt !== undefined) this.lastAt = lastAt;
    if (consumer !== undefined) [this.consumer, this.consumerUntil] = consumer;
    for (const [name, order, key, holders] of things) {
      const thing = new Thing(name, order);
      for (const [holder, generation, lease] of holders)
        thing.holders.set(holder, { generation, lease: Lease.restored(lease, this.nodes) });
      this.things.set(name, thing);
      this.ends.restore(thing, key);
    }
    for (const record of records) this.records.set(record.id, record);
    this.handed = new Set(handed);
  }

  private add(hold: Hold, lease: Lease, at: Moment): boolean {
    const name = thingName(hold);
    const known = this.things.get(name);
    const holder = known?.holders.get(hold.holder);
    if (holder !== undefined && isFenced(holder, hold, at.now)) return true;
    const bytes =
      (known === undefined ? thingBytes(name) : 0) + (holder === undefined ? holderBytes(hold.holder) : 0);
    if (bytes > 0 && !this.room.reserve(bytes)) return false;
    this.ledger.charge(bytes);
    const thing = known ?? this.make(name, at);
    thing.holders.set(hold.holder, { generation: hold.generation, lease });
    this.settle(thing, at.now, at);
    return true;
  }

  private make(name: string, at: Moment): Thing {
    this.made += 1;
    const thing = new Thing(name, this.made);
    this.things.set(name, thing);
    this.record(name, true, at.ts);
    return thing;
  }

  /** Drops holders whose end has come, and ends a thing that has no other. @param now Machine time, at most that of `at`. */
  private settle(thing: Thing, now: number, at: Moment): void {
    for (const [name, { lease }] of thing.holders) if (lease.until <= now) this.drop(thing, name);
    // An end that came nearer is in its place only when it is put there again.
    if (thing.holders.size > 0) return this.ends.track(thing);
    this.ends.delete(thing);
    this.things.delete(thing.name);
    this.ledger.credit(thingBytes(thing.name));
    // When it ended, whenever that is noticed.
    this.record(thing.name, false, at.ts - (at.now - now));
  }

  private drop(thing: Thing, holder: string): void {
    if (thing.holders.delete(holder)) this.ledger.credit(holderBytes(holder));
  }

  private record(name: string, held: boolean, ts: number): void {
    this.written += 1;
    // The records' own time may be set back.
    this.lastAt = Math.max(this.lastAt, ts);
    const id = `${this.epochs.prefix}-${this.written}`;
    this.records.set(id, { ...readThing(name), id, held, at: this.lastAt });
    this.ledger.charge(recordBytes(name));
    const [oldest] = this.records.keys();
    if (this.records.size > MAX_RECORDS && oldest !== undefined) this.forget(oldest);
  }

  private forget(id: string): void {
    const record = this.records.get(id);
    if (record === undefined) return;
    this.records.delete(id);
    this.handed.delete(id);
    this.ledger.credit(recordBytes(thingName(record)));
  }
}

type ThingState = readonly [
  name: string,
  order: number,
  key: number | null,
  holders: readonly (readonly [name: string, generation: number, lease: LeaseState])[],
];

/** {@link Transitions} in a checkpoint. */
export interface TransitionsState {
  readonly counts: readonly [made: number, written: number];
  readonly lastAt?: number;
  readonly consumer?: readonly [node: string, until: number];
  readonly things: readonly ThingState[];
  readonly records: readonly Transition[];
  readonly handed: readonly string[];
}

function isFenced({ generation, lease }: Holder, hold: Hold, now: number): boolean {
  return lease.until > now && hold.generation < generation;
}

function thingBytes(name: string): number {
  return MEMBER_BYTES + 2 * name.length;
}

function holderBytes(name: string): number {
  return DEVICE_BYTES + 2 * name.length;
}

function recordBytes(name: string): number {
  return DEVICE_BYTES + 2 * name.length;
}
