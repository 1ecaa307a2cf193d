import type { Codec } from '../../protocol/codecs/codec.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import type { WireVariant } from '../ports/connection.js';
import type { EnginePorts } from '../ports/settings.js';
import { encodeEnvelope, encodeEvent, type OnUnwritable } from './encoder.js';
import type { OutboxQueue } from './queue.js';
import { plainGap, QueueEntry, type Flow, type GapEntry } from './entry.js';

/** Most bytes of one frame that an outbox assembles; the rest goes into the next. */
const MAX_FRAME_BYTES = 64 * 1024;

type Observed = Pick<EnginePorts, 'observer'>;

/** An event as it is queued; one that cannot be written is announced as missing in its place. */
export function entryOf(
  flow: Flow,
  event: ChannelEvent,
  variant: WireVariant,
  onUnwritable: OnUnwritable,
): QueueEntry {
  const bytes = encodeEvent(event, variant, onUnwritable);
  if (bytes !== undefined) return new QueueEntry({ bytes, flow, event });
  const gap = plainGap(event.seq, event.seq, 'unreadable', false, event.epoch);
  return new QueueEntry({ flow, gap });
}

/** The bytes of an entry at the time when it is written: an event whose `ttl` has run out is announced as missing. */
function encodeEntry(entry: QueueEntry, now: number, codec: Codec, ports: Observed): Buffer {
  if (entry.gap !== undefined) return encodeGap(entry.flow as Flow, entry.gap, codec, ports);
  const { event } = entry;
  if (event === undefined || !event.isExpired(now)) return entry.bytes as Buffer;
  const gap = plainGap(event.seq, event.seq, 'expired', false, event.epoch);
  return encodeGap(entry.flow as Flow, gap, codec, ports);
}

function encodeGap(flow: Flow, gap: Readonly<GapEntry>, codec: Codec, { observer }: Observed): Buffer {
  const { epoch, partial, dropped, ...range } = gap;
  const { pattern, policy } = flow.definition;
  observer.onGap?.(pattern, gap.reason, dropped, policy.overflow);
  const payload = partial ? { ...range, partial } : range;
  return encodeEnvelope({ type: 'gap', channel: flow.name, epoch, payload }, codec);
}

/** Takes the bytes of the next frame out of a queue. */
export function takeEntries(
  queue: OutboxQueue,
  into: Buffer[],
  codec: Codec,
  ports: Pick<EnginePorts, 'observer' | 'clock'>,
): void {
  let bytes = 0;
  // Most answers ask for no time.
  let now: number | undefined;
  while (bytes < MAX_FRAME_BYTES) {
    const entry = queue.shift();
    if (entry === undefined) return;
    if (entry.event !== undefined) now ??= ports.clock.monotonic();
    const encoded = encodeEntry(entry, now ?? 0, codec, ports);
    entry.release();
    into.push(encoded);
    bytes += encoded.length;
  }
}
