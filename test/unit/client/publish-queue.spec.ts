import { afterEach, describe, expect, it } from '@jest/globals';
import type { RealtimeClientOptions } from '../../../lib/client/options.js';
import { type RealtimeError } from '../../../lib/protocol/realtime-error.js';
import type { Script, ScriptedConnection } from '../../support/wire/scripted-server.js';
import { until, WELCOME } from '../../support/wire/scripted-server.js';
import { codeOf, Harness } from './harness.js';

let harness: Harness | undefined;
const start = async (options?: RealtimeClientOptions): Promise<Harness> =>
  (harness = await Harness.start(options));
afterEach(() => harness?.stop());

const limits = (more: Record<string, number>): Record<string, unknown> => ({
  limits: { ...WELCOME.limits, ...more },
});
const publishes = async (
  connection: ScriptedConnection,
  count: number,
): Promise<(Script & { id: string })[]> => {
  const commands: (Script & { id: string })[] = [];
  for (let n = 0; n < count; n++) commands.push(await connection.expectCommand('publish'));
  return commands;
};
const stored = (seq: number, duplicate = false): unknown => ({ seq, epoch: 'e1', duplicate });

describe('publishing', () => {
  it('resolves with the position in the log once it is acknowledged', async () => {
    const h = await start();
    const connection = await h.live();
    const room = h.client.channel('rooms.1');
    const result = room.publish('message', { text: 'hi' }, { id: 'mine', key: 'k', ttl: 5_000 });
    const command = await connection.expectCommand('publish');
    expect(command).toEqual({
      type: 'publish',
      id: 'mine',
      channel: 'rooms.1',
      event: 'message',
      key: 'k',
      ttl: 5_000,
      payload: { text: 'hi' },
    });
    connection.reply(command, stored(4));
    expect(await result).toEqual({ seq: 4, epoch: 'e1', duplicate: false });
  });

  it('opens the client, and waits for it', async () => {
    const h = await start();
    const result = h.client.channel('rooms.1').publish('a');
    const connection = await h.live();
    connection.reply(await connection.expectCommand('publish'), stored(1));
    expect(await result).toMatchObject({ seq: 1 });
  });

  it('names the previous unacknowledged publish of the same channel in `after` (P16)', async () => {
    const h = await start();
    const connection = await h.live();
    const [one, two] = [h.client.channel('rooms.1'), h.client.channel('rooms.2')];
    const first = one.publish('a', 1, { id: 'a1' });
    void one.publish('a', 2, { id: 'a2' });
    void two.publish('b', 3, { id: 'b1' });
    void one.publish('a', 4, { id: 'a3' });
    const commands = await publishes(connection, 4);
    expect(commands.map(({ id, after }) => [id, after])).toEqual([
      ['a1', undefined],
      ['a2', 'a1'],
      ['b1', undefined],
      ['a3', 'a2'],
    ]);
    connection.reply({ id: 'a1' }, stored(1));
    connection.reply({ id: 'a2' }, stored(2));
    connection.reply({ id: 'a3' }, stored(3));
    await first;
    await connection.sync();
    void one.publish('a', 5, { id: 'a4' });
    expect((await connection.expectCommand('publish')).after).toBeUndefined();
  });

  it('publishes, and takes acknowledgements, in a time that grows with their number only', async () => {
    const FEW = 4_000;
    const h = await start({ maxQueuedPublishes: 1e6, maxQueuedBytes: 1e9 });
    const room = h.client.channel('rooms.1');
    // One that is never sent does not count as one that waits.
    const late = codeOf(room.publish('late', 0, { ttl: 1 }));
    h.clock.advance(1);
    expect(await late).toBe('timeout');
    const connection = await h.live(limits({ ratePerSecond: 0, maxFrameBytes: 1e8 }));
    let sent = 0;
    const timeOf = async (count: number): Promise<number> => {
      const before = performance.now();
      const results = Array.from({ length: count }, () => room.publish('a'));
      const commands = await publishes(connection, count);
      for (const command of commands) connection.reply(command, stored(++sent));
      expect((await Promise.all(results)).at(-1)).toMatchObject({ seq: sent });
      return performance.now() - before;
    };
    await timeOf(FEW);
    const few = await timeOf(FEW);
    // A hundred times as long where it grows with the square.
    expect(await timeOf(10 * FEW)).toBeLessThan(40 * few);
  });

  it('queues above the rate in the same way, and sends all of them within it', async () => {
    const FEW = 2_000;
    const h = await start({ maxQueuedPublishes: 1e6, maxQueuedBytes: 1e9, publishTimeoutMs: 1e9 });
    await h.live(limits({ ratePerSecond: 1 }));
    const results: Promise<unknown>[] = [];
    const timeOf = (count: number): number => {
      const before = performance.now();
      for (let index = 0; index < count; index++)
        results.push(codeOf(h.client.channel('rooms.1').publish('a')));
      return performance.now() - before;
    };
    timeOf(FEW);
    const few = timeOf(FEW);
    expect(timeOf(10 * FEW)).toBeLessThan(40 * few);
    void h.client.close();
    expect((await Promise.all(results)).slice(0, 2)).toEqual(['outcome_unknown', 'unavailable']);
  });

  it('sends a publish that comes when those that waited for the rate are gone', async () => {
    const h = await start();
    const connection = await h.live(limits({ ratePerSecond: 1 }));
    const room = h.client.channel('rooms.1');
    connection.reply(await (void room.publish('a'), connection.expectCommand('publish')), stored(1));
    await connection.sync();
    const late = codeOf(room.publish('b', 0, { ttl: 10 }));
    h.clock.advance(10);
    expect(await late).toBe('timeout');
    const next = room.publish('c');
    h.clock.advance(1_000);
    const command = await connection.expectCommand('publish');
    expect(command.event).toBe('c');
    connection.reply(command, stored(2));
    expect(await next).toMatchObject({ seq: 2 });
  });

  it('refuses an invalid publish before anything is sent', async () => {
    const h = await start({ maxQueuedPublishes: 2 });
    const room = h.client.channel('rooms.1');
    const loop: Record<string, unknown> = {};
    loop['loop'] = loop;
    expect(await codeOf(room.publish('a', loop))).toBe('bad_request');
    expect(await codeOf(room.publish('a', 1n))).toBe('bad_request');
    expect(await codeOf(room.publish(''))).toBe('bad_request');
    expect(await codeOf(room.publish('a', 1, { id: 'x'.repeat(65) }))).toBe('bad_request');
    expect(await codeOf(room.publish('a', 1, { ttl: 0 }))).toBe('bad_request');
    void room.publish('a', 1, { id: 'same' });
    expect(await codeOf(room.publish('a', 1, { id: 'same' }))).toBe('conflict');
    void room.publish('a');
    expect(await codeOf(room.publish('a'))).toBe('rate_limited');
  });

  it('queues a bounded number of bytes', async () => {
    const h = await start({ maxQueuedBytes: 2_000 });
    const room = h.client.channel('rooms.1');
    const kept = room.publish('a', 'x'.repeat(1_000), { id: 'kept' });
    expect(await codeOf(room.publish('a', 'x'.repeat(1_000)))).toBe('rate_limited');
    const connection = await h.live();
    connection.reply(await connection.expectCommand('publish'), stored(1));
    await kept;
    void room.publish('a', 'x'.repeat(1_000));
    await connection.expectCommand('publish');
  });

  it('fails a publish above maxMessageBytes locally, and sends those behind it (P4)', async () => {
    const h = await start();
    const room = h.client.channel('rooms.1');
    const early = codeOf(room.publish('a', 'x'.repeat(1_000), { id: 'early' }));
    const connection = await h.live(limits({ maxMessageBytes: 500 }));
    expect(await early).toBe('message_too_large');
    expect(await codeOf(room.publish('a', 'ü'.repeat(300)))).toBe('message_too_large');
    void room.publish('a', 'ü'.repeat(100));
    expect((await connection.expectCommand('publish')).after).toBeUndefined();
  });
});

describe('reconnecting with unacknowledged publishes (P17)', () => {
  it('sends them again with the same id, in the same order, with `after` (P17, G4)', async () => {
    const h = await start();
    const connection = await h.live();
    const room = h.client.channel('rooms.1');
    const results = ['p1', 'p2', 'p3'].map((id, n) => room.publish('a', { n }, { id }));
    const [first] = await publishes(connection, 3);
    connection.reply(first as { id: string }, stored(1));
    await results[0];
    connection.terminate();
    await h.state('waiting');
    const late = room.publish('a', { n: 3 }, { id: 'p4' });
    const second = await h.back();
    const again = await publishes(second, 3);
    expect(again.map(({ id, after, payload }) => [id, after, payload])).toEqual([
      ['p2', undefined, { n: 1 }],
      ['p3', 'p2', { n: 2 }],
      ['p4', 'p3', { n: 3 }],
    ]);
    second.reply({ id: 'p2' }, stored(2, true));
    second.reply({ id: 'p3' }, stored(3));
    second.reply({ id: 'p4' }, stored(4));
    expect((await Promise.all([...results, late])).map(({ seq, duplicate }) => [seq, duplicate])).toEqual([
      [1, false],
      [2, true],
      [3, false],
      [4, false],
    ]);
  });

  it('sends the same content again, even if the object was changed (P15, P17)', async () => {
    const h = await start();
    const connection = await h.live();
    const payload = { text: 'before', at: new Date(0) };
    void h.client.channel('rooms.1').publish('a', payload);
    await connection.expectCommand('publish');
    payload.text = 'after';
    connection.terminate();
    const again = await (await h.back()).expectCommand('publish');
    expect(again.payload).toEqual({ text: 'before', at: '1970-01-01T00:00:00.000Z' });
  });

  it('sends them within ratePerSecond (P17)', async () => {
    const h = await start({ maxQueuedPublishes: 500 });
    const room = h.client.channel('rooms.1');
    for (let n = 0; n < 100; n++) void room.publish('a', n);
    const connection = await h.live(limits({ ratePerSecond: 20 }));
    let sent = (await publishes(connection, 20)).length;
    for (let second = 1; second <= 4; second++) {
      await connection.sync();
      expect(connection.unread).toHaveLength(0);
      h.clock.advance(500);
      sent += (await publishes(connection, 10)).length;
      await connection.sync();
      h.clock.advance(500);
      sent += (await publishes(connection, 10)).length;
    }
    expect(sent).toBe(100);
  });

  it('counts other commands against the rate, but does not delay them (P17)', async () => {
    const h = await start();
    const connection = await h.live(limits({ ratePerSecond: 10 }));
    const room = h.client.channel('rooms.1');
    for (let n = 0; n < 8; n++) void h.client.request('busy');
    for (let n = 0; n < 4; n++) void room.publish('a', n);
    for (let n = 0; n < 8; n++) await connection.expectCommand('request');
    await publishes(connection, 2);
    void h.client.request('click');
    await connection.expectCommand('request');
    await connection.sync();
    expect(connection.unread).toEqual([]);
    h.clock.advance(300);
    await publishes(connection, 2);
  });

  it('fails those older than dedupeMs with outcome_unknown, and never sends them again (P17)', async () => {
    const h = await start();
    const connection = await h.live(limits({ dedupeMs: 100_000 }));
    const room = h.client.channel('rooms.1');
    const old = codeOf(room.publish('a', 1, { id: 'old' }));
    await connection.expectCommand('publish');
    connection.terminate();
    await h.state('waiting');
    const fresh = room.publish('a', 2, { id: 'fresh' });
    // The machine slept: all timers are late, and the next attempt comes at once.
    h.clock.sleep(100_000);
    const second = await h.back(limits({ dedupeMs: 100_000 }));
    expect(await old).toBe('outcome_unknown');
    const command = await second.expectCommand('publish');
    expect([command.id, command.after]).toEqual(['fresh', undefined]);
    second.reply(command, stored(1));
    await fresh;
  });

  it('fails them while offline a little before the dedupe window ends, so that every retry arrives inside it (P17)', async () => {
    const h = await start();
    h.server.refuse = () => undefined;
    const connection = await h.live(limits({ dedupeMs: 10_000 }));
    const result = codeOf(h.client.channel('rooms.1').publish('a'));
    await connection.expectCommand('publish');
    h.clock.advance(8_999);
    await connection.sync();
    h.clock.advance(1);
    expect(await result).toBe('outcome_unknown');
    expect(h.client.state).toBe('live');
  });

  it('fails one that no connection ever took with timeout, as it is safe to publish again', async () => {
    const h = await start({ publishTimeoutMs: 30_000, connectTimeoutMs: 1e9 });
    const room = h.client.channel('rooms.1');
    const [long, short] = [codeOf(room.publish('a')), codeOf(room.publish('a', 1, { ttl: 1_000 }))];
    h.clock.advance(1_000);
    expect(await short).toBe('timeout');
    h.clock.advance(29_000);
    expect(await long).toBe('timeout');
  });

  it('says what one that was never sent waited for: a connection, the one before it, or the rate', async () => {
    const messageOf = (publish: Promise<unknown>) => publish.catch(({ message }: Error) => message);
    const h = await start({ publishTimeoutMs: 1e9 });
    const room = h.client.channel('rooms.1');
    const early = messageOf(room.publish('a', 1, { ttl: 1_000 }));
    h.clock.advance(1_000);
    expect(await early).toMatch(/not sent in time: it waited for a connection/);
    const connection = await h.live();
    void codeOf(room.publish('a', 1, { id: 'first' }));
    connection.error(await connection.expectCommand('publish'), 'rate_limited', { retryAfterMs: 60_000 });
    await connection.sync();
    const behind = messageOf(room.publish('a', 2, { ttl: 1_000 }));
    const elsewhere = messageOf(h.client.channel('rooms.2').publish('a', 2, { ttl: 1_000 }));
    h.clock.advance(1_000);
    expect(await elsewhere).toMatch(/it waited for the rate limit/);
    expect(await behind).toMatch(/it waited for the acknowledgement of "first" before it/);
  });

  it('a handler that is left alone holds back its channel, and no other (G17)', async () => {
    const h = await start({ publishTimeoutMs: 1e9 });
    const connection = await h.live();
    void codeOf(h.client.channel('rooms.1').publish('a', 1, { id: 'first' }));
    const refusal = { retryAfterMs: 60_000, reason: 'circuit_open' };
    connection.error(await connection.expectCommand('publish'), 'rate_limited', refusal);
    await connection.sync();
    void codeOf(h.client.channel('rooms.1').publish('a', 2, { id: 'behind' }));
    void codeOf(h.client.channel('rooms.2').publish('a', 2, { id: 'elsewhere' }));
    expect(await connection.expectCommand('publish')).toMatchObject({ id: 'elsewhere' });
  });

  it('subscribes before it publishes, so that the own events come live', async () => {
    const h = await start();
    const room = h.client.channel('rooms.1');
    void room.publish('a');
    void room.subscribe();
    const connection = await h.live();
    await connection.expectCommand('subscribe');
    await connection.expectCommand('publish');
    // `hello`, then both in one frame.
    expect(connection.frames).toHaveLength(2);
  });

  it('does not wait behind thousands of channels that come back', async () => {
    const h = await start();
    for (let room = 0; room < 1_000; room++) void h.client.channel(`rooms.${room}`).subscribe();
    const result = h.client.channel('rooms.7').publish('a');
    const connection = await h.server.accept();
    await connection.welcome(limits({ maxChannels: 1_000 }));
    await until(() => connection.unread.at(-1)?.type === 'publish', 'the publish');
    // Nothing was answered yet.
    const before = connection.unread.slice(0, -1);
    expect(before.map(({ type }) => type)).toEqual(Array(128).fill('subscribe'));
    connection.reply(connection.unread.at(-1) as { id: string }, stored(1));
    expect(await result).toMatchObject({ seq: 1 });
  });

  it('sends nothing again as another user (P15)', async () => {
    const h = await start();
    const connection = await h.live({ user: 'ada' });
    const room = h.client.channel('rooms.1');
    const sent = codeOf(room.publish('a'));
    await connection.expectCommand('publish');
    connection.terminate();
    await h.state('waiting');
    const unsent = codeOf(room.publish('b'));
    const second = await h.back({ user: 'eve' });
    expect([await sent, await unsent]).toEqual(['outcome_unknown', 'unauthorized']);
    await second.sync();
    expect(second.unread).toEqual([]);
  });

  it('fails them with outcome_unknown when the client ends, and later ones with the reason', async () => {
    const h = await start();
    const connection = await h.live();
    const sent = codeOf(h.client.channel('rooms.1').publish('a'));
    await connection.expectCommand('publish');
    connection.close(4811, 'kicked|0');
    expect(await sent).toBe('outcome_unknown');
    expect(await codeOf(h.client.channel('rooms.1').publish('b'))).toBe('forbidden');
  });
});

describe('refusals of a publish (P17)', () => {
  it.each(['unavailable', 'timeout', 'rate_limited', 'token_expired'])(
    'retries after %s with the same id, and holds back what is behind it (P17)',
    async (code) => {
      const h = await start();
      const connection = await h.live();
      const room = h.client.channel('rooms.1');
      const results = [room.publish('a', 1, { id: 'p1' }), room.publish('a', 2, { id: 'p2' })];
      await publishes(connection, 2);
      connection.error({ id: 'p1' }, code, { retryAfterMs: 3_000 });
      connection.error({ id: 'p2' }, 'out_of_order');
      await connection.sync();
      const third = room.publish('a', 3, { id: 'p3' });
      h.clock.advance(2_999);
      await connection.sync();
      expect(connection.unread).toEqual([]);
      h.clock.advance(1);
      const again = await publishes(connection, 3);
      expect(again.map(({ id, after }) => [id, after])).toEqual([
        ['p1', undefined],
        ['p2', 'p1'],
        ['p3', 'p2'],
      ]);
      again.forEach((command, n) => connection.reply(command, stored(n + 1)));
      expect((await Promise.all([...results, third])).map(({ seq }) => seq)).toEqual([1, 2, 3]);
    },
  );

  it('sends what was behind a refused publish again without it (P16)', async () => {
    const h = await start();
    const connection = await h.live();
    const room = h.client.channel('rooms.1');
    const refused = codeOf(room.publish('a', 1, { id: 'p1' }));
    const second = room.publish('a', 2, { id: 'p2' });
    await publishes(connection, 2);
    connection.error({ id: 'p1' }, 'validation_failed', { details: [{ path: 'text', message: 'is empty' }] });
    connection.error({ id: 'p2' }, 'out_of_order');
    expect(await refused).toBe('validation_failed');
    const again = await connection.expectCommand('publish');
    expect([again.id, again.after]).toEqual(['p2', undefined]);
    connection.reply(again, stored(1));
    expect(await second).toMatchObject({ seq: 1 });
  });

  it('does not delay another channel', async () => {
    const h = await start();
    const connection = await h.live();
    void h.client.channel('rooms.1').publish('a');
    connection.error(await connection.expectCommand('publish'), 'unavailable', { retryAfterMs: 60_000 });
    await connection.sync();
    void h.client.channel('rooms.2').publish('b');
    expect((await connection.expectCommand('publish')).channel).toBe('rooms.2');
  });

  it('answers outcome_unknown when the second attempt is refused, as the first may have succeeded (P17)', async () => {
    const h = await start();
    const connection = await h.live();
    const result = h.client.channel('rooms.1').publish('a');
    await connection.expectCommand('publish');
    connection.terminate();
    const second = await h.back();
    second.error(await second.expectCommand('publish'), 'forbidden');
    const error: unknown = await result.catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'outcome_unknown' });
    expect((error as RealtimeError).cause).toMatchObject({ code: 'forbidden' });
  });

  it('answers outcome_unknown when a refusal follows unavailable (P17)', async () => {
    const h = await start();
    const connection = await h.live();
    const result = codeOf(h.client.channel('rooms.1').publish('a'));
    connection.error(await connection.expectCommand('publish'), 'unavailable');
    await connection.sync();
    h.clock.advance(1_000);
    connection.error(await connection.expectCommand('publish'), 'forbidden');
    expect(await result).toBe('outcome_unknown');
  });

  it('pauses all channels on rate_limited', async () => {
    const h = await start();
    const connection = await h.live();
    void h.client.channel('rooms.1').publish('a');
    connection.error(await connection.expectCommand('publish'), 'rate_limited', { retryAfterMs: 2_000 });
    await connection.sync();
    void h.client.channel('rooms.2').publish('b');
    await connection.sync();
    expect(connection.unread).toEqual([]);
    h.clock.advance(2_000);
    await publishes(connection, 2);
  });

  it('pauses also when the publish that was refused has become too old', async () => {
    const h = await start();
    const connection = await h.live(limits({ dedupeMs: 1_000 }));
    const room = h.client.channel('rooms.1');
    const first = codeOf(room.publish('a'));
    connection.error(await connection.expectCommand('publish'), 'rate_limited', { retryAfterMs: 5_000 });
    await connection.sync();
    h.clock.advance(900);
    expect(await first).toBe('timeout');
    void room.publish('b').catch(() => undefined);
    await connection.sync();
    expect(connection.unread).toEqual([]);
    h.clock.advance(4_100);
    expect((await connection.expectCommand('publish')).event).toBe('b');
  });

  it('drops the advice of a connection when that connection ends', async () => {
    const h = await start();
    const connection = await h.live();
    void h.client.channel('rooms.1').publish('a');
    connection.error(await connection.expectCommand('publish'), 'unavailable', { retryAfterMs: 60_000 });
    await connection.sync();
    connection.terminate();
    await (await h.back()).expectCommand('publish');
  });

  it('does not send again what became too old while the machine was suspended, even before its timer fires (P17)', async () => {
    const h = await start();
    const connection = await h.live();
    const old = codeOf(h.client.channel('rooms.1').publish('a'));
    connection.error(await connection.expectCommand('publish'), 'unavailable', { retryAfterMs: 60_000 });
    await connection.sync();
    h.clock.sleep(300_000);
    void h.client.channel('rooms.2').publish('b');
    expect((await connection.expectCommand('publish')).channel).toBe('rooms.2');
    await connection.sync();
    expect(connection.unread).toEqual([]);
    expect(await old).toBe('outcome_unknown');
  });

  it('treats an unreadable answer as no acknowledgement', async () => {
    const h = await start();
    const connection = await h.live();
    const result = h.client.channel('rooms.1').publish('a');
    connection.reply(await connection.expectCommand('publish'), { ok: true });
    await connection.sync();
    h.clock.advance(1_000);
    connection.reply(await connection.expectCommand('publish'), stored(1, true));
    expect(await result).toMatchObject({ duplicate: true });
  });
});
