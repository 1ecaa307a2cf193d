import { describe, expect, it } from '@jest/globals';
import { ChannelEvent } from '../../../lib/core/channel/channel-event.js';
import { encodeEvent } from '../../../lib/core/hub/encoder.js';
import { EventBatch } from '../../../lib/core/hub/event-batch.js';
import { VariantRegistry } from '../../../lib/core/hub/variant.registry.js';
import type { Codec } from '../../../lib/protocol/codecs/codec.js';
import { jsonCodec } from '../../../lib/protocol/codecs/json.codec.js';
import { msgpackCodec } from '../../../lib/protocol/codecs/msgpack.codec.js';
import { frameBinary, frameOne, frameText } from '../../../lib/transports/websocket/frame.js';

const NEWLINE = 0x0a;

/** A codec that counts. */
function counting(codec: Codec): { codec: Codec; readonly encoded: () => number } {
  let encoded = 0;
  const encode: Codec['encode'] = (envelope) => {
    encoded++;
    return codec.encode(envelope);
  };
  return { codec: { ...codec, encode }, encoded: () => encoded };
}

function event(seq: number): ChannelEvent {
  return new ChannelEvent({
    channel: 'rooms.1',
    seq,
    epoch: 'e1',
    ts: 1,
    id: `id-${seq}`,
    event: 'said',
    payload: 'né 😀',
  });
}

describe('events are encoded once per variant (hot path 1)', () => {
  const registry = new VariantRegistry();
  const json = counting(jsonCodec);
  const msgpack = counting(msgpackCodec);
  const variants = [
    registry.create(
      json.codec,
      (envelopes) => frameText(envelopes, NEWLINE),
      (encoded) => frameOne(false, encoded),
    ),
    registry.create(
      msgpack.codec,
      (envelopes) => frameBinary(envelopes, undefined),
      (encoded) => frameOne(true, encoded),
    ),
    // As one that compresses: it cannot frame an envelope as it is.
    registry.create(jsonCodec, (envelopes) => frameText([Buffer.concat(envelopes)], NEWLINE)),
  ] as const;

  it('one event of a batch lies in its frame, for live delivery and replay alike', () => {
    const only = event(1);
    const batch = new EventBatch([only]);
    const [variant] = variants;
    const before = json.encoded();
    const frame = batch.frameFor(variant);
    const bytes = encodeEvent(only, variant);
    expect(json.encoded() - before).toBe(1);
    expect(bytes.buffer).toBe(frame.buffer);
    expect(frame.equals(frameText([bytes], NEWLINE))).toBe(true);
    expect(JSON.parse(bytes.toString())).toMatchObject({ seq: 1, payload: 'né 😀' });
    expect(batch.frameFor(variant)).toBe(frame);
    expect(encodeEvent(only, variant)).toBe(bytes);
  });

  it('each variant has bytes of its own, whichever was asked for first', () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2],
    ] as const) {
      const only = event(1);
      const batch = new EventBatch([only]);
      const frames = order.map((index) => batch.frameFor(variants[index]));
      expect(order.map((index) => batch.frameFor(variants[index]))).toEqual(frames);
      const text = encodeEvent(only, variants[0]).toString();
      expect(encodeEvent(only, variants[2]).toString()).toBe(text);
      expect(msgpackCodec.decode(encodeEvent(only, variants[1]))).toEqual([JSON.parse(text)]);
    }
  });

  it('variants of two engines that share a log never meet, though their index is the same', () => {
    const only = event(1);
    const other = new VariantRegistry().create(msgpackCodec, (envelopes) =>
      frameBinary(envelopes, undefined),
    );
    const [variant] = variants;
    expect(other.index).toBe(variant.index);
    const text = encodeEvent(only, variant).toString();
    expect(msgpackCodec.decode(encodeEvent(only, other))).toEqual([JSON.parse(text)]);
    expect(encodeEvent(only, variant).toString()).toBe(text);
  });

  it('what was encoded for a replay is framed as it is', () => {
    const only = event(1);
    const [variant] = variants;
    const bytes = encodeEvent(only, variant);
    const before = json.encoded();
    expect(new EventBatch([only]).frameFor(variant).equals(frameText([bytes], NEWLINE))).toBe(true);
    expect(encodeEvent(only, variant)).toBe(bytes);
    expect(json.encoded()).toBe(before);
  });

  it('several events share a frame', () => {
    const events = [event(1), event(2), event(3)];
    for (const variant of variants.slice(0, 2)) {
      const frame = new EventBatch(events).frameFor(variant);
      expect(frame.equals(variant.frame(events.map((one) => encodeEvent(one, variant))))).toBe(true);
    }
  });
});
