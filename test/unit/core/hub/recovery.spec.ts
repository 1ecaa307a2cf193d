import { afterEach, describe, expect, it } from '@jest/globals';
import type { Envelope } from '../../../../lib/protocol/envelope.js';
import type { SubscribeResult } from '../../../../lib/protocol/messages.js';
import type { Position } from '../../../../lib/protocol/position.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

const log = (size: number) => ({
  retain: true,
  size,
  maxBytes: 8_388_608,
  ttlMs: 3_600_000,
  dedupeMs: 300_000,
});

async function subscribeAt(connection: FakeConnection, position?: Position): Promise<SubscribeResult> {
  connection.send({ type: 'subscribe', id: 's1', channel: 'rooms.1', payload: { position } });
  await quiet();
  const [answer] = connection.received.filter((envelope) => envelope.ref === 's1');
  return answer?.payload as SubscribeResult;
}

const seqs = (envelopes: readonly Envelope[]): (string | number | undefined)[] =>
  envelopes.map((envelope) => (envelope.type === 'event' ? envelope.seq : envelope.type));

describe('resume and recovery', () => {
  it('gives the tip of an empty channel, and resumes from it everything that came since (P11, P13)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const first = await harness.greet();
    const { position, recovery } = await subscribeAt(first);
    expect(recovery).toBe('new');
    expect(position.seq).toBe(0);
    first.drop();
    await harness.publish('rooms.1', 3);

    const second = await harness.greet();
    const answer = await subscribeAt(second, position);
    expect(answer).toEqual({ recovery: 'complete', position: { epoch: position.epoch, seq: 3 } });
    expect(seqs(second.take()).slice(2)).toEqual([1, 2, 3, 'resumed']);
    await harness.publish('rooms.1');
    expect(seqs(second.take())).toEqual([4]);
  });

  it('sends resumed even when nothing was missed, with the seq of the position (P12)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    await harness.publish('rooms.1', 2);
    const connection = await harness.greet();
    const { position } = await subscribeAt(connection);
    connection.send({ type: 'unsubscribe', id: 'u1', channel: 'rooms.1' });
    await quiet();
    connection.take();
    connection.send({ type: 'subscribe', id: 's2', channel: 'rooms.1', payload: { position } });
    await quiet();
    const [reply, resumed, ...rest] = connection.take();
    expect(reply).toMatchObject({ ref: 's2', payload: { recovery: 'complete', position } });
    expect(resumed).toMatchObject({ type: 'resumed', seq: 2, epoch: position.epoch });
    expect(rest).toEqual([]);
  });

  it('truncates because of the log where the log and the limit end at the same place (P11)', async () => {
    const policy = { log: log(10), replayLimit: 10 };
    harness = await EngineHarness.start([channel('rooms.:room', { policy })]);
    await harness.publish('rooms.1', 30);
    const { epoch } = (await harness.engine.application.history('rooms.1')).position;
    const answer = await subscribeAt(await harness.greet(), { epoch, seq: 5 });
    expect(answer).toMatchObject({ recovery: 'truncated', from: 21, to: 30, cause: 'trimmed' });
  });

  it('truncates to what is still kept, and says which range follows (P11)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room', { policy: { log: log(10) } })]);
    await harness.publish('rooms.1', 1);
    const { epoch } = (await harness.engine.application.history('rooms.1')).position;
    await harness.publish('rooms.1', 29);
    const connection = await harness.greet();
    const answer = await subscribeAt(connection, { epoch, seq: 5 });
    expect(answer).toEqual({
      recovery: 'truncated',
      cause: 'trimmed',
      from: 21,
      to: 30,
      position: { epoch, seq: 30 },
    });
    expect(seqs(connection.take()).slice(2)).toEqual([21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 'resumed']);
  });

  it('truncates to the newest events within the replay limit; the rest is readable by history (P11)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room', { policy: { replayLimit: 5 } })]);
    await harness.publish('rooms.1', 20);
    const { epoch } = (await harness.engine.application.history('rooms.1')).position;
    const connection = await harness.greet();
    const answer = await subscribeAt(connection, { epoch, seq: 2 });
    expect(answer).toMatchObject({ recovery: 'truncated', cause: 'limit', from: 16, to: 20 });
    const missed = await harness.engine.application.history('rooms.1', { from: 3, until: 15 });
    expect(missed.events.map(({ seq }) => seq)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  });

  it('answers lost for a position of an unknown epoch, and for one beyond the tip (P10, P11)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    await harness.publish('rooms.1', 3);
    const { epoch } = (await harness.engine.application.history('rooms.1')).position;
    const stranger = await harness.greet();
    expect(await subscribeAt(stranger, { epoch: 'other', seq: 2 })).toMatchObject({
      recovery: 'lost',
      reason: 'epoch_changed',
      position: { epoch, seq: 3 },
    });
    const traveller = await harness.greet();
    expect(await subscribeAt(traveller, { epoch, seq: 9 })).toMatchObject({
      recovery: 'lost',
      position: { epoch, seq: 3 },
    });
    expect(seqs(traveller.take()).slice(2)).toEqual([]);
  });

  it('answers expired when nothing of what was missed is kept (P11)', async () => {
    harness = await EngineHarness.start([
      channel('rooms.:room', { policy: { log: { ...log(10), ttlMs: 1_000 } } }),
    ]);
    await harness.publish('rooms.1', 2);
    const { epoch } = (await harness.engine.application.history('rooms.1')).position;
    harness.clock.advance(5_000);
    const connection = await harness.greet();
    expect(await subscribeAt(connection, { epoch, seq: 1 })).toMatchObject({
      recovery: 'lost',
      reason: 'expired',
    });
  });

  it('answers complete at the tip of a channel without retention, else not_retained (P27)', async () => {
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        policy: { log: { retain: false, size: 0, maxBytes: 8_388_608, ttlMs: 0, dedupeMs: 0 } },
      }),
    ]);
    const connection = await harness.greet();
    const { position } = await subscribeAt(connection);
    await harness.publish('rooms.1', 2);
    expect(seqs(connection.take()).slice(-2)).toEqual([1, 2]);
    const late = await harness.greet();
    expect(await subscribeAt(late, position)).toMatchObject({ recovery: 'lost', reason: 'not_retained' });
    const punctual = await harness.greet();
    expect(await subscribeAt(punctual, { ...position, seq: 2 })).toMatchObject({ recovery: 'complete' });
  });

  it('reads the replay as the socket drains: a client that does not read costs bounded memory (P12, G8)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room', { policy: { log: log(5_000) } })], {
      settings: { outbox: { maxBytes: 64 * 1024 } },
    });
    await harness.publish('rooms.1', 1);
    const { epoch } = (await harness.engine.application.history('rooms.1')).position;
    await harness.publish('rooms.1', 3_999, { size: 200 });
    const connection = await harness.greet();
    connection.stall();
    connection.send({
      type: 'subscribe',
      id: 's1',
      channel: 'rooms.1',
      payload: { position: { epoch, seq: 0 } },
    });
    for (let turn = 0; turn < 20; turn++) await quiet();
    expect(connection.closed).toBeUndefined();
    // 4,000 events of 300 bytes are 1.2 MB; no more than the socket's first frame and a quarter of the limit waits.
    expect(connection.bufferedBytes).toBeLessThan(128 * 1024);
    for (let turn = 0; turn < 400 && connection.received.at(-1)?.type !== 'resumed'; turn++) {
      connection.drain();
      await quiet();
      connection.stall();
    }
    const events = connection.received.filter(({ type }) => type === 'event').map(({ seq }) => seq);
    expect(events).toEqual(Array.from({ length: 4_000 }, (_, index) => index + 1));
    expect(connection.received.at(-1)).toMatchObject({ type: 'resumed', seq: 4_000 });
  });

  it('delivers events that arrive during a replay after it, once, behind resumed (P12, G7)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room', { policy: { log: log(5_000) } })], {
      settings: { ringSize: 32 },
    });
    await harness.publish('rooms.1', 600);
    const { epoch } = (await harness.engine.application.history('rooms.1')).position;
    const connection = await harness.greet();
    connection.send({
      type: 'subscribe',
      id: 's1',
      channel: 'rooms.1',
      payload: { position: { epoch, seq: 0 } },
    });
    for (let turn = 0; turn < 40; turn++) {
      void harness.engine.application.publish('rooms.1', 'said', turn);
      await Promise.resolve();
      if (turn % 4 === 0) await quiet();
    }
    for (let turn = 0; turn < 20; turn++) await quiet();
    const relevant = connection.received.filter(({ type }) => type === 'event' || type === 'resumed');
    const resumedAt = relevant.findIndex(({ type }) => type === 'resumed');
    expect(relevant[resumedAt]?.seq).toBe((relevant[resumedAt - 1] as Envelope).seq);
    const events = relevant.filter(({ type }) => type === 'event').map(({ seq }) => seq);
    expect(events).toEqual(Array.from({ length: 640 }, (_, index) => index + 1));
  });

  it('announces events trimmed during the replay as a gap (P12)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room', { policy: { log: log(300) } })], {
      settings: { ringSize: 4, outbox: { maxBytes: 16 * 1024 } },
    });
    await harness.publish('rooms.1', 300, { size: 100 });
    const { epoch } = (await harness.engine.application.history('rooms.1')).position;
    const connection = await harness.greet();
    connection.stall();
    connection.send({
      type: 'subscribe',
      id: 's1',
      channel: 'rooms.1',
      payload: { position: { epoch, seq: 0 } },
    });
    for (let turn = 0; turn < 10; turn++) await quiet();
    await harness.publish('rooms.1', 400, { size: 100 });
    for (let turn = 0; turn < 100; turn++) {
      connection.drain();
      await quiet();
    }
    const channelLane = connection.received.filter(({ type }) => ['event', 'gap', 'resumed'].includes(type));
    let cursor = 0;
    let gaps = 0;
    for (const { type, seq, payload } of channelLane) {
      if (type === 'event') expect(seq).toBe(++cursor);
      else if (type === 'resumed') expect(seq).toBe(300);
      else {
        const gap = payload as { from: number; to: number; reason: string };
        expect(gap.reason).toBe('expired');
        expect(gap.from).toBe(cursor + 1);
        cursor = gap.to;
        gaps++;
      }
    }
    expect(gaps).toBeGreaterThan(0);
    expect(cursor).toBe(700);
    expect(channelLane.filter(({ type }) => type === 'resumed')).toHaveLength(1);
  });

  it('reads the tip before the snapshot runs, and sends what the snapshot does not contain (P26)', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    let runs = 0;
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: {
          snapshot: {
            shareable: true,
            run: async () => {
              runs++;
              await gate;
              return { state: 'the state' };
            },
          },
        },
      }),
    ]);
    await harness.publish('rooms.1', 2);
    const one = await harness.greet();
    const two = await harness.greet();
    for (const client of [one, two]) {
      client.take();
      client.send({ type: 'subscribe', id: 's1', channel: 'rooms.1' });
    }
    await quiet();
    await harness.publish('rooms.1', 2);
    release();
    await quiet();
    for (const client of [one, two]) {
      const [answer, ...events] = client.take();
      expect(answer?.payload).toMatchObject({ recovery: 'new', snapshot: 'the state', position: { seq: 2 } });
      expect(seqs(events)).toEqual([3, 4]);
    }
    expect(runs).toBe(1);
  });

  it('starts the replay at the position that the snapshot states (P26)', async () => {
    const stated: { position?: Position } = {};
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: {
          snapshot: { shareable: true, run: () => ({ state: { n: 1 }, ...stated }) },
        },
      }),
    ]);
    await harness.publish('rooms.1', 5);
    const position = { ...(await harness.engine.application.history('rooms.1')).position, seq: 3 };
    stated.position = position;
    const connection = await harness.greet();
    const answer = await subscribeAt(connection);
    expect(answer.position).toEqual(position);
    expect(seqs(connection.take()).slice(2)).toEqual([4, 5]);
  });
});
