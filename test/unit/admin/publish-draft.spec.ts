import { describe, expect, it } from '@jest/globals';
import { draftOfBatch, draftOfPublish, type Placed } from '../../../lib/admin/publish-draft.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';

const done = (seq: number, duplicate = false): PromiseSettledResult<Placed> => ({
  status: 'fulfilled',
  value: { epoch: 'e1', seq, duplicate },
});
const failed = (code: string): PromiseSettledResult<Placed> => ({
  status: 'rejected',
  reason: new RealtimeError(code),
});
const eventOf = (id: string, channel = 'rooms.1') => ({ id, channel, event: 'said', payload: 'a secret' });

describe('the audit entry of what the admin API published', () => {
  it('has the ids and the place of an event, and nothing of its payload', () => {
    const draft = draftOfPublish('job', { ...eventOf('m1'), user: 'ada' }, done(7));
    expect(draft).toEqual({
      act: 'publish',
      by: 'job',
      channel: 'rooms.1',
      data: { event: 'said', id: 'm1', user: 'ada', epoch: 'e1', seq: 7, duplicate: false },
    });
    expect(draftOfPublish('job', { channel: 'rooms.1', event: 'said' }, failed('timeout'))).toEqual({
      act: 'publish',
      by: 'job',
      channel: 'rooms.1',
      result: 'failed',
      error: 'timeout',
      data: { event: 'said' },
    });
  });

  it('of a batch is one, with how many failed or were there before', () => {
    expect(draftOfBatch('job', [eventOf('a'), eventOf('b')], [done(1), done(2)])).toEqual({
      act: 'publish',
      by: 'job',
      channel: 'rooms.1',
      result: 'applied',
      data: { events: 2, failed: 0, duplicates: 0, ids: ['a', 'b'] },
    });
    expect(
      draftOfBatch(
        'job',
        [eventOf('a'), eventOf('b', 'rooms.2'), eventOf('c')],
        [done(1, true), failed('unavailable'), done(2)],
      ),
    ).toEqual({
      act: 'publish',
      by: 'job',
      result: 'partial',
      error: 'unavailable',
      data: { events: 3, failed: 1, duplicates: 1, ids: ['a', 'b', 'c'], channels: ['rooms.1', 'rooms.2'] },
    });
    expect(draftOfBatch('job', [eventOf('a')], [failed('timeout')])).toMatchObject({ result: 'failed' });
  });

  it('of the largest batch fits into an entry, and names the first ids', () => {
    // JSON writes each of these characters as six.
    const id = (n: number) => `${n}${'\u0001'.repeat(124)}`;
    const events = Array.from({ length: 256 }, (_, n) => eventOf(id(n), `rooms.${n}${'x'.repeat(180)}`));
    const { data } = draftOfBatch(
      'job',
      events,
      events.map(({ id: _ }, n) => done(n)),
    );
    expect(JSON.stringify(data).length).toBeLessThanOrEqual(4_096);
    expect(data).toMatchObject({ events: 256, ids: [id(0), id(1)] });
    expect((data?.['channels'] as unknown[]).length).toBe(7);
  });
});
