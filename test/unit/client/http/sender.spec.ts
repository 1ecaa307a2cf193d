import { describe, expect, it } from '@jest/globals';
import { Sender, type SessionLoss, type SessionRequests } from '../../../../lib/client/http/sender.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { ScriptedFetch } from './scripted-fetch.js';

const LIMITS = { maxEnvelopesPerFrame: 3, maxFrameBytes: 100, maxMessageBytes: 90 };
const line = (id: string, more = ''): string => JSON.stringify({ id, more });

function setUp(more: Partial<SessionRequests> = {}) {
  const clock = new ManualClock();
  const http = new ScriptedFetch();
  const losses: SessionLoss[] = [];
  const sender = new Sender(
    {
      fetch: http.fetch,
      credentials: 'include',
      clock,
      random: () => 0.5,
      requestLimitMs: 10_000,
      patienceMs: 35_000,
      refusalsProveLife: true,
      spreadMs: 2_000,
      ...more,
    },
    'https://a.example/rt/send',
    'n.secret',
    LIMITS,
    (loss) => losses.push(loss),
  );
  return { clock, http, losses, sender };
}

describe('the commands of a session over HTTP', () => {
  it('go one request at a time, numbered, with the session in a header and never in the URL (P21d)', async () => {
    const { http, sender } = setUp();
    sender.push([line('a')]);
    const first = await http.next('send');
    expect(first.url).toBe('https://a.example/rt/send');
    expect(first.headers).toEqual({
      'content-type': 'application/json',
      'realtime-session': 'n.secret',
      'realtime-send': '1',
    });
    expect(first.request.body).toBe(line('a'));
    sender.push([line('b')]);
    sender.push([line('c')]);
    await settle();
    expect(http.calls).toHaveLength(1);
    first.answer(202);
    const second = await http.next('send');
    expect(second.headers['realtime-send']).toBe('2');
    expect(second.request.body).toBe(`[${line('b')},${line('c')}]`);
  });

  it('that waited share a request, within the envelopes and the bytes of a frame (P4)', async () => {
    const { http, sender } = setUp();
    sender.push([line('0')]);
    sender.push(['1', '2', '3', '4'].map((id) => line(id)));
    sender.push([line('5', 'ü'.repeat(10)), line('6', 'ü'.repeat(20)), line('7')]);
    const bodies: string[][] = [];
    for (let n = 0; n < 4; n++) {
      const call = await http.next('send');
      expect(Buffer.byteLength(call.request.body ?? '')).toBeLessThanOrEqual(LIMITS.maxFrameBytes);
      bodies.push(call.commands.map(({ id }) => id));
      call.answer(202);
    }
    expect(bodies).toEqual([['0'], ['1', '2', '3'], ['4', '5'], ['6', '7']]);
  });

  it.each([
    ['the network failed', (call: Awaited<ReturnType<ScriptedFetch['next']>>) => call.fail()],
    ['the answer was cut', (call: Awaited<ReturnType<ScriptedFetch['next']>>) => call.cut(202)],
    [
      'a proxy answered 502',
      (call: Awaited<ReturnType<ScriptedFetch['next']>>) => call.answer(502, '<html>'),
    ],
    [
      'a page to log in answered 200',
      (call: Awaited<ReturnType<ScriptedFetch['next']>>) => call.answer(200, '<html>'),
    ],
    ...[409, 410, 407, 511, 302, 0].map(
      (status) =>
        [
          `a proxy answered ${status}`,
          (call: Awaited<ReturnType<ScriptedFetch['next']>>) => call.answer(status, '{"message":"Gone"}'),
        ] as const,
    ),
    [
      'a proxy refused with 403',
      (call: Awaited<ReturnType<ScriptedFetch['next']>>) => call.answer(403, 'no'),
    ],
  ])('are sent again with the same number and body when %s (P21d)', async (_what, spoil) => {
    const { clock, http, losses, sender } = setUp();
    sender.push([line('a')]);
    const first = await http.next('send');
    sender.push([line('b')]);
    spoil(first);
    await clock.advanceAsync(5_000);
    const again = await http.next('send');
    expect(again.headers['realtime-send']).toBe('1');
    expect(again.request.body).toBe(first.request.body);
    again.answer(202);
    expect((await http.next('send')).headers['realtime-send']).toBe('2');
    expect(losses).toEqual([]);
  });

  it('wait as long as the server asks, and keep their number, after 429 and 503 (P21d)', async () => {
    const { clock, http, sender } = setUp();
    sender.push([line('a')]);
    (await http.next('send')).refuse(429, { retryAfterMs: 7_000 });
    // Half of the spread, by the chance of this test.
    await clock.advanceAsync(7_999);
    expect(http.calls).toHaveLength(1);
    await clock.advanceAsync(1);
    (await http.next('send')).answer(503, 'away', { 'retry-after': '1' });
    await clock.advanceAsync(1_499);
    expect(http.calls).toHaveLength(2);
    await clock.advanceAsync(1);
    expect((await http.next('send')).headers['realtime-send']).toBe('1');
  });

  it('come back one here and one there, where all clients were sent away together (P19)', async () => {
    const at = async (chance: number): Promise<number> => {
      const { clock, http, sender } = setUp({ random: () => chance });
      sender.push([line('a')]);
      (await http.next('send')).refuse(503, { retryAfterMs: 1_000 });
      await settle();
      const from = clock.monotonic();
      while (http.calls.length < 2) await clock.advanceAsync(50);
      return clock.monotonic() - from;
    };
    expect(await Promise.all([at(0), at(0.5), at(0.95)])).toEqual([1_000, 1_500, 1_950]);
  });

  it('are as patient as the server asks, however often it does (P21d)', async () => {
    const { clock, http, losses, sender } = setUp();
    sender.push([line('a')]);
    for (let n = 0; n < 20; n++) {
      (await http.next('send')).refuse(429, { retryAfterMs: 5_000 });
      await settle();
      await clock.advanceAsync(6_000);
    }
    (await http.next('send')).fail();
    await settle();
    await clock.advanceAsync(3_000);
    (await http.next('send')).answer(202);
    await settle();
    expect(losses).toEqual([]);
  });

  it('are as impatient as without an answer where only they tell whether the server lives', async () => {
    const { clock, http, losses, sender } = setUp({ refusalsProveLife: false });
    sender.push([line('a')]);
    for (let n = 0; n < 6; n++) {
      (await http.next('send')).refuse(503, { retryAfterMs: 5_000 });
      await clock.advanceAsync(6_000);
    }
    expect(losses).toEqual([expect.objectContaining({ code: 1006, reason: 'overloaded|5000' })]);
  });

  it.each([429, 503])(
    'end the session, which takes the advice, when %i asks for a longer wait than that',
    async (status) => {
      const { clock, http, losses, sender } = setUp();
      sender.push([line('a')]);
      (await http.next('send')).answer(status, '', { 'retry-after': '60' });
      await settle();
      expect(losses).toEqual([
        { code: 1006, reason: 'overloaded|60000', failure: 'The server asks to come back later' },
      ]);
      expect(clock.pending).toBe(0);
    },
  );

  it('are given up when no answer comes in the time in which a silent server counts as dead', async () => {
    const { clock, http, losses, sender } = setUp();
    sender.push([line('a')]);
    await clock.advanceAsync(9_999);
    expect(http.calls[0]?.isAborted).toBe(false);
    await clock.advanceAsync(1);
    expect(http.calls[0]?.isAborted).toBe(true);
    await clock.advanceAsync(60_000);
    expect(losses).toEqual([{ code: 1006, reason: '', failure: 'The server does not answer' }]);
    const { length } = http.calls;
    await clock.advanceAsync(60_000);
    expect(http.calls).toHaveLength(length);
  });

  it.each([
    [410, { close: 4811, message: 'kicked' }, { code: 4811, reason: '', failure: 'kicked' }],
    [410, { message: 'unknown' }, { code: 1006, reason: '', failure: 'unknown' }],
    [
      410,
      { close: 4001, message: 'drain', retryAfterMs: 900 },
      { code: 4001, reason: 'overloaded|900', failure: 'drain' },
    ],
    // A repeat that a proxy made by itself is no reason to stay away for good.
    [409, { close: 4805, message: 'number' }, { code: 1006, reason: '', failure: 'number' }],
    [400, { message: 'no JSON' }, { code: 4805, reason: '', failure: 'no JSON' }],
    [413, { message: 'large' }, { code: 4806, reason: '', failure: 'large' }],
  ])('end the session with what the server says in its %i', async (status, body, loss) => {
    const { http, losses, sender } = setUp();
    sender.push([line('a')]);
    (await http.next('send')).refuse(status, body);
    await settle();
    expect(losses).toEqual([loss]);
  });

  it('outlive the page when they are the last ones, and report when the server has them (P19d)', async () => {
    const { http, sender } = setUp();
    let done = 0;
    sender.push([line('a')]);
    sender.push(['{"type":"bye","id":"z"}']);
    sender.finish(() => done++);
    const first = await http.next('send');
    expect(first.request.keepalive).toBe(false);
    first.answer(202);
    const last = await http.next('send');
    expect(last.request.keepalive).toBe(true);
    expect(done).toBe(0);
    last.answer(202);
    await settle();
    expect(done).toBe(1);
  });

  it.each([
    ['410 of the server', 410, 1],
    ['another status', 409, 0],
  ])('are done when their repeat is answered with %s (P19d)', async (_what, status, dones) => {
    const { clock, http, losses, sender } = setUp();
    let done = 0;
    sender.push(['{"type":"bye","id":"z"}']);
    sender.finish(() => done++);
    (await http.next('send')).fail();
    await clock.advanceAsync(5_000);
    (await http.next('send')).refuse(status, { close: 1000 });
    await settle();
    expect([done, losses.length]).toEqual([dones, 1 - dones]);
  });

  it('are not done by the 410 of a proxy (P21h)', async () => {
    const { clock, http, losses, sender } = setUp();
    let done = 0;
    sender.push(['{"type":"bye","id":"z"}']);
    sender.finish(() => done++);
    (await http.next('send')).answer(410, 'Gone');
    await clock.advanceAsync(5_000);
    (await http.next('send')).answer(202);
    await settle();
    expect([done, losses]).toEqual([1, []]);
  });

  it('stop with the session', async () => {
    const { clock, http, losses, sender } = setUp();
    sender.push([line('a')]);
    sender.push([line('b')]);
    sender.stop();
    expect((await http.next('send')).isAborted).toBe(true);
    await clock.advanceAsync(60_000);
    expect(http.calls).toHaveLength(1);
    expect(losses).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
