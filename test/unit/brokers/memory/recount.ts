import type { MachineChannel } from '../../../../lib/brokers/machine/channel.js';
import type { MemoryStore } from '../../../../lib/brokers/memory/index.js';
import type { KeptEvents } from '../../../../lib/brokers/machine/kept-events.js';
import { structureOfJson, weightOf } from '../../../../lib/core/ports/value-weight.js';
import {
  CHANNEL_BYTES,
  DEVICE_BYTES,
  EVENT_BYTES,
  ID_BYTES,
  ID_LANE_BYTES,
  MEMBER_BYTES,
  PRODUCER_BYTES,
  ROOM_BYTES,
} from '../../../../lib/brokers/machine/weight.js';

interface ChannelsInsides {
  readonly channels: ReadonlyMap<string, MachineChannel>;
  readonly pinned: number;
  readonly order: Record<'keeping' | 'idle', { items: readonly { channel: MachineChannel }[] }>;
  readonly ends: { heap: { items: readonly MachineChannel[] } };
}

interface Insides {
  readonly ledger: { readonly held: number; readonly loose: number };
  readonly channels: ChannelsInsides;
  readonly ids: object;
  readonly restrictions: { readonly kept: { readonly size: number } };
}

const insides = ({ machine }: MemoryStore) => machine as unknown as Insides;

interface LogInsides {
  readonly events: KeptEvents;
  readonly size: number;
}

interface IdLaneInsides {
  readonly windowMs: number;
  readonly producer: { readonly name: string };
}

interface IdInsides {
  readonly ids:
    | ReadonlyMap<
        string,
        { readonly key: string; readonly fingerprint: string; readonly lane: IdLaneInsides }
      >
    | undefined;
}

interface RoomInsides {
  readonly members: {
    readonly byId: ReadonlyMap<
      string,
      { readonly id: string; readonly data: unknown; readonly devices: ReadonlyMap<string, unknown> }
    >;
  };
}

export const channelsOf = (store: MemoryStore) => insides(store).channels.channels;

/** What a store holds, counted from its records alone. */
export function recount(store: MemoryStore): {
  readonly bytes: number;
  readonly idBytes: number;
  readonly active: number;
} {
  let bytes = 0;
  let idBytes = 0;
  let active = 0;
  let loose = 0;
  const producers = new Set<string>();
  const lanes = new Set<string>();
  let ids = 0;
  for (const [name, channel] of channelsOf(store)) {
    if (channel.pins > 0) active += 1;
    const own = CHANNEL_BYTES + 2 * name.length;
    bytes += own;
    if (channel.pins === 0 && channel.ids.size === 0 && channel.room === undefined) loose += own;
    const log = channel.log as unknown as LogInsides;
    let size = 0;
    for (let index = 0; index < log.events.length; index += 1) {
      const event = log.events.at(index);
      if (event === undefined) throw new Error('An event is missing');
      // An event's size is that of its append, and 128.
      const appended = event.size - 128;
      size += appended;
      const weight =
        EVENT_BYTES +
        appended +
        structureOfJson(event.payload, appended) +
        structureOfJson(event.meta, appended);
      bytes += weight;
      loose += weight;
    }
    if (size !== log.size) throw new Error(`${name} counts ${log.size} bytes of events and keeps ${size}`);
    for (const id of (channel.ids as unknown as IdInsides).ids?.values() ?? []) {
      idBytes += ID_BYTES + 2 * (id.key.length + id.fingerprint.length);
      const { producer, windowMs } = id.lane;
      producers.add(producer.name);
      lanes.add(`${windowMs} ${producer.name}`);
      ids += 1;
    }
    if (channel.room === undefined) continue;
    bytes += ROOM_BYTES;
    for (const { id, data, devices } of (channel.room as unknown as RoomInsides).members.byId.values()) {
      bytes += MEMBER_BYTES + 2 * id.length + weightOf(data);
      for (const device of devices.keys()) bytes += DEVICE_BYTES + 2 * device.length;
    }
  }
  idBytes += ID_LANE_BYTES * lanes.size;
  for (const name of producers) idBytes += PRODUCER_BYTES + 2 * name.length;
  const known = (insides(store).ids as { producers: ReadonlyMap<string, unknown> }).producers;
  if (known.size !== producers.size)
    throw new Error(`${known.size} producers are kept, ${producers.size} have ids`);
  const accounts = insides(store).ledger;
  if (accounts.loose !== loose) throw new Error(`${accounts.loose} bytes count as loose, ${loose} are`);
  if (idsInMemory(store) !== ids)
    throw new Error(`${idsInMemory(store)} ids are in memory, ${ids} are remembered`);
  return { bytes: bytes + idBytes, idBytes, active };
}

/** Remembered ids that anything of the store's memory of ids still leads to. */
export function idsInMemory(store: MemoryStore): number {
  const seen = new Set<unknown>();
  const open: unknown[] = [insides(store).ids];
  let count = 0;
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value !== 'object' || value === null || seen.has(value)) continue;
    seen.add(value);
    if ('fingerprint' in value && 'lane' in value) count += 1;
    if (value instanceof Map) open.push(...value.values());
    for (const [name, part] of Object.entries(value)) if (name !== 'window') open.push(part);
  }
  return count;
}

export const activeOf = (store: MemoryStore) => insides(store).channels.pinned;

/** Restrictions that are in memory, ended ones too. */
export const restrictionsKeptIn = (store: MemoryStore) => insides(store).restrictions.kept.size;

/** Channels that wait in a heap of the store, though they no longer exist. */
export function deadPlaces(store: MemoryStore): number {
  const { order, ends } = insides(store).channels;
  const waiting = [
    ...order.keeping.items.map(({ channel }) => channel),
    ...order.idle.items.map(({ channel }) => channel),
    ...ends.heap.items,
  ];
  return waiting.filter((channel) => channelsOf(store).get(channel.name) !== channel).length;
}
