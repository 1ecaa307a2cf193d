import { describe, expect, it } from '@jest/globals';
import type { ChannelEvent, EventDraft } from '../../../../lib/core/ports/channel-event.js';
import { idField, RedisKeys } from '../../../../lib/brokers/redis/keys.js';
import { partitionOf, slotOf } from '../../../../lib/brokers/redis/keys.js';
import {
  decodeMember,
  decodeMessage,
  decodeRecord,
  encodeData,
  encodeBody,
  encodeRecord,
  encodeSignal,
} from '../../../../lib/brokers/redis/wire.js';
import { toWireValue } from '../../../../lib/protocol/wire-value.js';
import fc from '../../../support/property.js';

describe('the wire format of Redis', () => {
  const back = (draft: EventDraft, seq: number, ts: number): ChannelEvent => {
    const [event] = decodeRecord(encodeRecord([encodeBody(draft)]), 'c', 'ep', seq, ts, 400, 1_000);
    if (event === undefined) throw new Error('The record is empty');
    return event;
  };

  it('returns an event unchanged, bytes included (P5)', () => {
    const draft = {
      id: 'a',
      event: 'e',
      payload: toWireValue({ bytes: Uint8Array.of(0, 255), deep: [{ more: Uint8Array.of(7) }] }),
      meta: { n: 1 },
    };
    const event = back(draft, 3, 99);
    expect(event).toMatchObject({
      id: 'a',
      event: 'e',
      channel: 'c',
      epoch: 'ep',
      seq: 3,
      ts: 99,
      meta: { n: 1 },
    });
    // Written again, it has the same form: brokers and codecs take it as it is.
    expect(encodeBody({ ...draft, payload: event.payload })).toBe(encodeBody(draft));
    const payload = event.payload as {
      readonly bytes: Uint8Array;
      readonly deep: readonly { readonly more: Uint8Array }[];
    };
    expect([...payload.bytes]).toEqual([0, 255]);
    expect([...(payload.deep[0]?.more ?? [])]).toEqual([7]);
  });

  it('returns any JSON unchanged, even if it looks like our own wrapping (P5)', () => {
    const special = fc.constantFrom<unknown>({ b: 'AAAA' }, [[1]], { b: { b: 1 } }, null, '');
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), special), (payload) => {
        const plain: unknown = JSON.parse(JSON.stringify(payload));
        const event = back({ id: 'i', event: 'e', payload }, 1, 1);
        expect(event.payload).toEqual(plain);
        expect(decodeMessage(encodeSignal({ event: 'e', payload }), 'c', 0)).toEqual({
          kind: 'signal',
          signal: { event: 'e', payload: plain },
        });
        expect(decodeMember('m', 1, encodeData(payload))).toEqual({ id: 'm', devices: 1, data: plain });
      }),
    );
  });

  it('counts the life of an event from its age, on the clock of this node (P12c)', () => {
    expect(back({ id: 'a', event: 'e', ttl: 500 }, 1, 1).expiresAt).toBe(1_100);
    expect(back({ id: 'a', event: 'e' }, 1, 1).expiresAt).toBe(Infinity);
    const record = encodeRecord([encodeBody({ id: 'a', event: 'e', ttl: 500 })]);
    expect(decodeMessage(`1eep 1 99\n${record}`, 'c', 1_000)).toMatchObject({
      events: [{ expiresAt: 1_500 }],
    });
  });

  it('writes equal data as equal text (G19)', () => {
    expect(encodeData({ a: 1, b: { c: 2, d: 3 } })).toBe(encodeData({ b: { d: 3, c: 2 }, a: 1 }));
    expect(encodeData([1, 2])).not.toBe(encodeData([2, 1]));
  });

  it('reads diffs of nodes with and without a number of members (P22a)', () => {
    const diff = {
      epoch: 'p',
      version: 2,
      previous: 1,
      join: [{ id: 'u', devices: 1 }],
      update: [],
      leave: [],
    };
    expect(decodeMessage(`1p${JSON.stringify(diff)}`, 'c', 0)).toEqual({ kind: 'presence', diff });
    const counted = { ...diff, count: 7 };
    expect(decodeMessage(`1p${JSON.stringify(counted)}`, 'c', 0)).toEqual({
      kind: 'presence',
      diff: counted,
    });
  });

  it('ignores messages that only a newer version sends', () => {
    for (const text of ['', '1', '1z{}', '2e whatever', '{"v":3}'])
      expect(decodeMessage(text, 'c', 0)).toBeUndefined();
  });
});

describe('the partition of a channel', () => {
  it('is the same in every version', () => {
    expect(['rooms.1', 'rooms.2', '$user.auth0~7C7', ''].map((name) => partitionOf(name, 64))).toEqual([
      39, 5, 53, 57,
    ]);
  });

  it('agrees with the slots of Redis Cluster', () => {
    // From the Cluster specification, and from CLUSTER KEYSLOT.
    expect(['123456789', 'foo', ''].map(slotOf)).toEqual([0x31c3 % 16_384, 12_182, 0]);
  });

  it('is spread evenly over channels', () => {
    const counts = Array.from({ length: 64 }, () => 0);
    for (let index = 0; index < 64_000; index += 1) {
      const partition = partitionOf(`rooms.${index}`, 64);
      counts[partition] = (counts[partition] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(800);
    expect(Math.max(...counts)).toBeLessThan(1_200);
  });

  it('keeps the hash tag for any channel name', () => {
    const keys = new RedisKeys('rt', 8);
    fc.assert(
      fc.property(fc.string(), (channel) => {
        const { head, stream, topic, ids } = keys.of(channel);
        const start = `{rt:${keys.partitionOf(channel)}}:v1:`;
        const all = [head, stream, topic, ...ids];
        expect(all.map((key) => key.startsWith(start) && key.endsWith(`:${channel}`))).toEqual(
          all.map(() => true),
        );
        expect(new Set(all).size).toBe(5);
      }),
    );
  });

  it('no two ids of a channel collide, whatever the names of their producers (P15)', () => {
    const digits = fc.string({ unit: fc.constantFrom('1', '2', ':', 'a') });
    fc.assert(
      fc.property(digits, digits, digits, digits, (producer, id, other, otherId) => {
        const same = producer === other && id === otherId;
        expect(idField(producer, id) === idField(other, otherId)).toBe(same);
      }),
    );
  });
});
