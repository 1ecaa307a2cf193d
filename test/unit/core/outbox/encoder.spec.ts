import { describe, expect, it } from '@jest/globals';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';
import { encodedOnce, encodeEvent } from '../../../../lib/core/outbox/encoder.js';
import { EventBatch } from '../../../../lib/core/outbox/encoder.js';
import type { WireVariant } from '../../../../lib/core/ports/connection.js';
import type { Codec } from '../../../../lib/protocol/codecs/codec.js';
import { jsonCodec } from '../../../../lib/protocol/codecs/json.js';
import { msgpackCodec } from '../../../../lib/protocol/codecs/msgpack.js';
import { frameBinary, frameOne, frameText } from '../../../../lib/transports/websocket/frame.js';

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
    expiresAt: Infinity,
    id: `id-${seq}`,
    event: 'said',
    payload: 'né 😀',
  });
}

describe('encodes an event once per variant (hot path)', () => {
  const json = counting(jsonCodec);
  const msgpack = counting(msgpackCodec);
  const variants = [
    {
      codec: json.codec,
      frame: (envelopes) => frameText(envelopes, NEWLINE),
      frameOne: (encoded) => frameOne(false, encoded),
    },
    {
      codec: msgpack.codec,
      frame: (envelopes) => frameBinary(envelopes, undefined),
      frameOne: (encoded) => frameOne(true, encoded),
    },
    // As one that compresses: it cannot frame an envelope as it is.
    { codec: jsonCodec, frame: (envelopes) => frameText([Buffer.concat(envelopes)], NEWLINE) },
  ] as const satisfies readonly WireVariant[];

  it('places the bytes of a single event in its frame, for live delivery and replay', () => {
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

  it('keeps separate bytes per variant, in any order of requests', () => {
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

  it('keeps the variants of two engines that share a log separate', () => {
    const only = event(1);
    const [variant] = variants;
    const other: WireVariant = { ...variant };
    const bytes = encodeEvent(only, variant);
    const others = encodeEvent(only, other);
    expect(others).not.toBe(bytes);
    expect(others.equals(bytes)).toBe(true);
    expect(encodeEvent(only, variant)).toBe(bytes);
    expect(encodeEvent(only, other)).toBe(others);
  });

  it('frames bytes that were encoded for a replay without encoding again', () => {
    const only = event(1);
    const [variant] = variants;
    const bytes = encodeEvent(only, variant);
    const before = json.encoded();
    expect(new EventBatch([only]).frameFor(variant).equals(frameText([bytes], NEWLINE))).toBe(true);
    expect(encodeEvent(only, variant)).toBe(bytes);
    expect(json.encoded()).toBe(before);
  });

  it('puts several events into one frame', () => {
    const events = [event(1), event(2), event(3)];
    for (const variant of variants.slice(0, 2)) {
      const frame = new EventBatch(events).frameFor(variant);
      expect(frame.equals(variant.frame(events.map((one) => encodeEvent(one, variant))))).toBe(true);
    }
  });

  it('encodes a signal only for the variants in use', () => {
    const [text, binary] = variants;
    const before = [json.encoded(), msgpack.encoded()];
    const encode = encodedOnce({ type: 'signal', channel: 'rooms.1', payload: 'né 😀' });
    const bytes = encode(text);
    expect(encode(text)).toBe(bytes);
    expect([json.encoded(), msgpack.encoded()]).toEqual([(before[0] ?? 0) + 1, before[1]]);
    expect(msgpackCodec.decode(encode(binary))).toEqual([JSON.parse(bytes.toString())]);
    expect(encode(text)).toBe(bytes);
  });
});
