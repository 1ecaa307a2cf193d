import { beforeEach, describe, expect, it } from '@jest/globals';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';
import { encodedOnce, encodeEvent as encode } from '../../../../lib/core/outbox/encoder.js';
import { EventBatch as Batch } from '../../../../lib/core/outbox/encoder.js';
import type { OnUnwritable } from '../../../../lib/core/outbox/encoder.js';
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

/** What could not be written. */
const unwritable: string[] = [];
const note: OnUnwritable = ({ type, channel, seq }, codec, error) =>
  unwritable.push(`${type} ${channel} ${seq} ${codec} ${(error as Error).message}`);

/** Events that can be written. */
function encodeEvent(one: ChannelEvent, variant: WireVariant): Buffer {
  return encode(one, variant, note) as Buffer;
}

class EventBatch extends Batch {
  constructor(events: readonly ChannelEvent[]) {
    super(events, note);
  }

  override frameFor(variant: WireVariant): Buffer {
    return super.frameFor(variant) as Buffer;
  }
}

beforeEach(() => void unwritable.splice(0));

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
    const give = encodedOnce({ type: 'signal', channel: 'rooms.1', payload: 'né 😀' }, note);
    const bytes = give(text) as Buffer;
    expect(give(text)).toBe(bytes);
    expect([json.encoded(), msgpack.encoded()]).toEqual([(before[0] ?? 0) + 1, before[1]]);
    expect(msgpackCodec.decode(give(binary) as Buffer)).toEqual([JSON.parse(bytes.toString())]);
    expect(give(text)).toBe(bytes);
  });

  describe('what a codec cannot write', () => {
    const broken: Codec = {
      ...jsonCodec,
      encode(envelope) {
        if (envelope.seq === 2 || envelope.type === 'signal') throw new Error('broken');
        return jsonCodec.encode(envelope);
      },
    };
    const [whole] = variants;
    const spoiled: WireVariant = { ...whole, codec: broken };
    const compressing: WireVariant = { codec: broken, frame: whole.frame };

    it.each([
      ['framed as it is', spoiled],
      ['compressed', compressing],
    ])('%s: has no bytes and no frame, is noted once, and harms no other variant (P25)', (_, variant) => {
      const only = event(2);
      expect(new EventBatch([only]).frameFor(variant)).toBeUndefined();
      expect(new EventBatch([only]).frameFor(variant)).toBeUndefined();
      expect(encode(only, variant, note)).toBeUndefined();
      expect(unwritable).toEqual(['event rooms.1 2 json broken']);
      expect(JSON.parse(encodeEvent(only, whole).toString())).toMatchObject({ seq: 2 });
      expect(new EventBatch([only]).frameFor(whole)).toBeInstanceOf(Buffer);
    });

    it('leaves its batch without a frame, and the others of the batch with their bytes', () => {
      const events = [event(1), event(2), event(3)];
      const batch = new EventBatch(events);
      expect(batch.frameFor(spoiled)).toBeUndefined();
      expect(batch.frameFor(spoiled)).toBeUndefined();
      expect(events.map((one) => encode(one, spoiled, note) !== undefined)).toEqual([true, false, true]);
      expect(unwritable).toHaveLength(1);
    });

    it('is no event that the broker could not read either', () => {
      const place = { channel: 'rooms.1', seq: 1, epoch: 'e1', ts: 1 };
      for (const variant of variants) {
        expect(encode(ChannelEvent.unreadable(place), variant, note)).toBeUndefined();
        expect(new EventBatch([ChannelEvent.unreadable(place)]).frameFor(variant)).toBeUndefined();
      }
      expect(unwritable[0]).toBe('event rooms.1 1 json The broker could not read it');
    });

    it('may be a signal', () => {
      const give = encodedOnce({ type: 'signal', channel: 'rooms.1' }, note);
      expect([give(spoiled), give(spoiled)]).toEqual([undefined, undefined]);
      expect(unwritable).toEqual(['signal rooms.1 undefined json broken']);
    });
  });
});
