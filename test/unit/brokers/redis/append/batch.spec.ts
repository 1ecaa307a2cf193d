import { describe, expect, it } from '@jest/globals';
import { AppendBatch } from '../../../../../lib/brokers/redis/append/batch.js';
import {
  AppendCall,
  settleAppend,
  type PendingAppend,
} from '../../../../../lib/brokers/redis/append/batch.js';
import { CountedId } from '../../../../../lib/brokers/redis/append/id-shares.js';
import { EpochNames } from '../../../../../lib/brokers/redis/settings.js';
import { RedisKeys } from '../../../../../lib/brokers/redis/keys.js';
import type { AppendRequest } from '../../../../../lib/core/ports/broker.js';
import { POLICY, request } from '../../../../support/engine/append-requests.js';
import { SeededEntropy } from '../../../../support/engine/seeded-entropy.js';

const KEYS = new RedisKeys('rt', 4);
const UNREMEMBERED = { policy: { ...POLICY, dedupeMs: 0 } };

function batchOf(
  requests: readonly AppendRequest[],
  bytes = 10,
  shares: readonly PendingAppend['share'][] = [],
) {
  const call = new AppendCall(requests.length);
  const items: PendingAppend[] = requests.map((one, index) => ({
    request: one,
    body: `{"i":"${one.event.id}"}`,
    bytes,
    share: shares[index],
    call,
    index,
  }));
  return { call, batch: new AppendBatch(items, KEYS, 'tok', 1_000, false) };
}

/** Number of events, form and events of each section, as the script reads them. */
function sectionsOf({ args }: AppendBatch): readonly (readonly [string, string, string])[] {
  const sections: [string, string, string][] = [];
  let at = 4 + 6 * Number(args[2]);
  for (let section = 0; section < Number(args[3]); section += 1) {
    const [, count = '', ids = '', form = ''] = args.slice(at, at + 4);
    const text = args[at + 6] ?? '';
    sections.push([count, form, text]);
    at += 7 + Number(ids) + (form === 'm' ? 3 * Number(count) : Number(ids));
  }
  expect(at).toBe(args.length);
  return sections;
}

describe('the contents of one script call', () => {
  it('a script call contains one section per channel, with its events in order (P16)', () => {
    const { batch } = batchOf([request('a', '1'), request('b', '2'), request('a', '3')]);
    expect(sectionsOf(batch)).toEqual([
      ['2', '', '[{"i":"1"},\n{"i":"3"}]'],
      ['1', '', '[{"i":"2"}]'],
    ]);
    expect(batch.keys).toHaveLength(12);
  });

  it('another policy starts another section; a publish without a window does not (P27)', () => {
    const other = { policy: { ...POLICY, size: 7 } };
    const longer = { policy: { ...POLICY, dedupeMs: 1 } };
    const { batch } = batchOf([
      request('a', '1'),
      request('a', '2', UNREMEMBERED),
      request('a', '3', other),
      request('a', '4'),
      request('a', '5', longer),
    ]);
    expect(sectionsOf(batch).map(([count, form]) => [count, form])).toEqual([
      ['2', 'm'],
      ['1', ''],
      ['1', ''],
      ['1', ''],
    ]);
  });

  it('a record ends at 64 KiB, and a larger event is in a record of its own (G8)', () => {
    const ids = Array.from({ length: 5 }, (_, index) => request('a', `${index}`));
    expect(sectionsOf(batchOf(ids, 30_000).batch).map(([count]) => count)).toEqual(['2', '2', '1']);
    expect(sectionsOf(batchOf(ids, 90_000).batch).map(([count]) => count)).toEqual(['1', '1', '1', '1', '1']);
  });

  it('ids are sent only where they are remembered or named, and in the strict form where one repeats (P15)', () => {
    const forms = (requests: readonly AppendRequest[]) =>
      sectionsOf(batchOf(requests).batch).map(([, form]) => form);
    expect(forms([request('a', '1', UNREMEMBERED), request('a', '1', UNREMEMBERED)])).toEqual(['']);
    expect(forms([request('a', '1'), request('a', '2')])).toEqual(['']);
    expect(forms([request('a', '1'), request('a', '1')])).toEqual(['m']);
    expect(forms([request('a', '1'), request('a', '1', { producer: 'u2' })])).toEqual(['']);
    expect(forms([request('a', '1'), request('a', '2', { after: '1' })])).toEqual(['m']);
  });

  it('each event gets its answer, from consecutive numbers or a list (P15)', async () => {
    const { batch, call } = batchOf(['1', '2', '3', '4', '5'].map((id) => request(id < '3' ? 'a' : 'b', id)));
    batch.settle([
      ['e', 8],
      ['e', 4, '2 old', 4, 'c'],
    ]);
    expect(await call.result).toEqual([
      { ok: true, position: { epoch: 'e', seq: 8 }, duplicate: false },
      { ok: true, position: { epoch: 'e', seq: 9 }, duplicate: false },
      { ok: true, position: { epoch: 'old', seq: 2 }, duplicate: true },
      { ok: true, position: { epoch: 'e', seq: 4 }, duplicate: false },
      { ok: false, code: 'conflict' },
    ]);
  });

  it('events without proof of replication are answered with timeout; conflict and out_of_order stay (G1)', async () => {
    const { batch, call } = batchOf(['1', '2', '3', '4'].map((id) => request('a', id)));
    batch.settle([['e', 4, '2 old', 4, 'c', 'o']], false);
    expect(await call.result).toEqual(
      ['timeout', 'timeout', 'conflict', 'out_of_order'].map((code) => ({ ok: false, code })),
    );
  });

  it('an id above the share of its producer is only looked for, and is answered as a repeat or with the time to wait (P15)', async () => {
    const requests = ['1', '2', '3'].map((id) => request('a', id));
    const { batch, call } = batchOf(requests, 10, [undefined, 70, 80]);
    expect(sectionsOf(batch).map(([, form]) => form)).toEqual(['m']);
    expect(batch.args.slice(-9)).toEqual(['1', '0', '1', '-2', '0', '2', '-3', '0', '3']);
    batch.settle([['e', 4, 4, '2 old', 'r']], true);
    expect(await call.result).toEqual([
      { ok: true, position: { epoch: 'e', seq: 4 }, duplicate: false },
      { ok: true, position: { epoch: 'old', seq: 2 }, duplicate: true },
      { ok: false, code: 'rate_limited', retryAfterMs: 80, message: expect.any(String) },
    ]);
  });

  it('a share is given back for what is not remembered, and kept where it may be (P15, P17)', async () => {
    const given: string[] = [];
    const shareOf = (name: string) => {
      const counts = new Map([[name, 1]]);
      const counted = new CountedId(counts, name);
      return Object.assign(counted, {
        giveBack: () => {
          given.push(name);
        },
      });
    };
    const names = ['appended', 'duplicate', 'conflict', 'out of order'];
    const requests = names.map((id) => request('a', id));
    for (const replicated of [true, false]) {
      given.length = 0;
      const { batch } = batchOf(requests, 10, names.map(shareOf));
      batch.settle([['e', 4, 4, '2 old', 'c', 'o']], replicated);
      expect(given).toEqual(replicated ? names.slice(1) : names.slice(2));
    }
    given.length = 0;
    const outcomes = ['timeout', 'unavailable'] as const;
    const { batch } = batchOf(requests.slice(0, 2), 10, outcomes.map(shareOf));
    batch.items.forEach((item, index) =>
      settleAppend(item, { ok: false, code: outcomes[index] ?? 'timeout' }),
    );
    expect(given).toEqual(['unavailable']);
  });

  it('the name of an epoch is used by no other batch or broker (P10)', () => {
    const entropy = new SeededEntropy(1);
    const all = [new EpochNames(entropy), new EpochNames(entropy)];
    const names = all.flatMap((epochs) => Array.from({ length: 100 }, () => epochs.next()));
    expect(new Set(names).size).toBe(200);
    // With a section's number behind it, it must fit into a position (P10).
    expect(Math.max(...names.map(({ length }) => length))).toBeLessThanOrEqual(48);
  });

  it('the outcome of a section that failed is known only where nothing of it was written (P17)', async () => {
    const { call, batch } = batchOf([request('a', '1'), request('b', '2'), request('c', '3')]);
    batch.settle([
      ['', 'WRONGTYPE Operation against a key', 0],
      ['', 'WRONGTYPE Operation against a key', 1],
      ['e', 1],
    ]);
    expect(await call.result).toEqual([
      { ok: false, code: 'unavailable' },
      { ok: false, code: 'timeout' },
      { ok: true, position: { epoch: 'e', seq: 1 }, duplicate: false },
    ]);
  });

  it('sections of one policy share it, and others have their own (P27)', () => {
    const { batch } = batchOf([request('a', '1'), request('b', '2', UNREMEMBERED), request('c', '3')]);
    expect(batch.args.slice(1, 4)).toEqual(['0', '2', '3']);
    const places = [16, 25, 32].map((at) => batch.args[at]);
    expect(places).toEqual(['1', '2', '1']);
  });
});
