import { afterEach, describe, expect, it } from '@jest/globals';
import type { Position } from '../../../../lib/protocol/position.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { until } from '../../../support/until.js';
import { wireChannel } from '../../../support/wire/channel.js';
import type { WireClient } from '../../../support/wire/client.js';
import { GRACE_MS, QUIET, server, start, stop, TICK } from './setting.js';

afterEach(stop);

describe('subscriptions', () => {
  const positionOf = (answer: Record<string, unknown>): Position => answer['position'] as Position;

  it('unsubscribe is answered whether or not there is a subscription (P7, P24)', async () => {
    await start();
    const client = await server.connect('alice');
    expect(await client.reply({ type: 'unsubscribe', channel: 'nothing.of.the.kind' })).toEqual({});
    await client.subscribe('rooms.1');
    expect(await client.error({ type: 'subscribe', channel: 'rooms.1' })).toMatchObject({
      code: 'already_subscribed',
    });
    await client.reply({ type: 'unsubscribe', channel: 'rooms.1' });
    await server.engine.application.publish('rooms.1', 'said', 1);
    expect(positionOf(await client.subscribe('rooms.1')).seq).toBe(1);
    // What came meanwhile would have come before this answer.
    expect(client.pending).toEqual([]);
  });

  it('a position beyond the end, or of an unknown epoch, is answered with lost (P10b)', async () => {
    await start();
    const client = await server.connect('alice');
    await server.engine.application.publish('rooms.1', 'said', 1);
    const { epoch } = positionOf(await client.subscribe('rooms.1'));
    for (const position of [
      { epoch, seq: 2 },
      { epoch: 'other', seq: 1 },
    ]) {
      await client.reply({ type: 'unsubscribe', channel: 'rooms.1' });
      expect(await client.subscribe('rooms.1', { position })).toEqual({
        position: { epoch, seq: 1 },
        recovery: 'lost',
        reason: 'epoch_changed',
      });
    }
    // Nothing of a replay comes before what is new.
    await server.engine.application.publish('rooms.1', 'said', 2);
    expect(await client.next('event')).toMatchObject({ seq: 2 });
  });

  it('the answer contains at most 100 members, or none if they are not wanted (P11a)', async () => {
    await start();
    const alice = await server.connect('alice');
    expect(await alice.subscribe('rooms.1', { presence: { data: 1 } })).not.toHaveProperty('presence');
    expect(await alice.subscribe('halls.1')).toMatchObject({
      presence: { members: [{ id: 'alice', devices: 1 }], count: 1 },
    });
    const bob = await server.connect('bob');
    expect(await bob.subscribe('halls.1', { presence: false })).not.toHaveProperty('presence');
    const carol = await server.connect('carol');
    expect(await carol.subscribe('halls.1', { presence: { receive: false } })).not.toHaveProperty('presence');
    expect((await alice.next('presence')).payload['join']).toEqual([{ id: 'carol', devices: 1 }]);
    await server.engine.application.publish('halls.1', 'said', 'behind the join');
    await carol.next('event');
    for (let index = 0; index < 110; index++) {
      const entry = { channel: 'halls.1', member: `m${index}`, device: 'd', generation: 1 };
      await server.broker.presence.enter(entry, 60_000);
    }
    const dave = await server.connect('dave');
    const { presence } = await dave.subscribe('halls.1');
    expect(presence).toMatchObject({ count: 113, more: expect.any(String) });
    expect((presence as { members: unknown[] }).members).toHaveLength(100);
  });

  it('a resume that missed nothing is answered with resumed at once, as often as it is repeated (P12, P13)', async () => {
    await start();
    const client = await server.connect('alice');
    const { epoch } = positionOf(await client.subscribe('rooms.1'));
    for (let round = 0; round < 2; round++) {
      await client.reply({ type: 'unsubscribe', channel: 'rooms.1' });
      const answer = await client.subscribe('rooms.1', { position: { epoch, seq: 0 } });
      expect(answer).toEqual({ position: { epoch, seq: 0 }, recovery: 'complete' });
      expect(await client.next('resumed')).toMatchObject({ seq: 0, epoch });
    }
  });

  it('an event past its ttl is a gap in a replay, and is missing in history (P12c, P14e)', async () => {
    const clock = new ManualClock();
    await start({ clock });
    const client = await server.connect('alice');
    const { epoch } = positionOf(await client.subscribe('rooms.1'));
    await client.reply({ type: 'unsubscribe', channel: 'rooms.1' });
    await server.engine.application.publish('rooms.1', 'said', 1, { ttl: 1 });
    await server.engine.application.publish('rooms.1', 'said', 2);
    clock.advance(2);
    await client.subscribe('rooms.1', { position: { epoch, seq: 0 } });
    expect(await client.next('gap')).toMatchObject({
      epoch,
      payload: { from: 1, to: 1, reason: 'expired', recoverable: false },
    });
    expect(await client.next('event')).toMatchObject({ seq: 2 });
    await client.next('resumed');
    const history = await client.reply({ type: 'history', channel: 'rooms.1' });
    expect((history['events'] as { seq: number }[]).map(({ seq }) => seq)).toEqual([2]);
  });

  it('truncated says which range follows and why (P11, P11b)', async () => {
    await start({
      channels: [
        wireChannel('short', { log: { size: 3 } }),
        wireChannel('long', { policy: { replayLimit: 2 } }),
      ],
      settings: { ringSize: 1 },
    });
    const client = await server.connect('alice');
    for (const [channel, from, cause] of [
      ['short', 3, 'trimmed'],
      ['long', 4, 'limit'],
    ] as const) {
      const { epoch } = await server.broker.log.subscribe(channel);
      for (let n = 1; n <= 5; n++) await server.engine.application.publish(channel, 'said', n);
      expect(await client.subscribe(channel, { position: { epoch, seq: 0 } })).toEqual({
        position: { epoch, seq: 5 },
        recovery: 'truncated',
        from,
        to: 5,
        cause,
      });
      for (let seq = from; seq <= 5; seq++) expect(await client.next('event')).toMatchObject({ seq });
      expect(await client.next('resumed')).toMatchObject({ seq: 5 });
    }
  });

  it('a channel without retention resumes at its tip only, and has no history (P27)', async () => {
    await start();
    const client = await server.connect('alice');
    const { epoch } = positionOf(await client.subscribe('ticks.a'));
    await server.engine.application.publish('ticks.a', 'tick', 1);
    expect(await client.next('event')).toMatchObject({ seq: 1 });
    const again = async (seq: number): Promise<unknown> => {
      await client.reply({ type: 'unsubscribe', channel: 'ticks.a' });
      return await client.subscribe('ticks.a', { position: { epoch, seq } });
    };
    expect(await again(0)).toMatchObject({ recovery: 'lost', reason: 'not_retained' });
    expect(await again(1)).toMatchObject({ recovery: 'complete' });
    await client.next('resumed');
    expect(await client.reply({ type: 'history', channel: 'ticks.a' })).toEqual({
      events: [],
      position: { epoch, seq: 1 },
      more: false,
    });
  });

  it('a new subscription gets a snapshot, at a position that the later events continue (P26, P26c)', async () => {
    let seen = 0;
    const channel = wireChannel('boards.:board', {
      publish: ['drawn'],
      behaviour: {
        snapshot: {
          shareable: true,
          run: async () => {
            seen++;
            await server.engine.application.publish('boards.1', 'drawn', 'meanwhile');
            return { state: { seen } };
          },
        },
      },
    });
    await start({ channels: [channel] });
    const client = await server.connect('alice');
    const answer = await client.subscribe('boards.1');
    expect(answer).toMatchObject({ recovery: 'new', position: { seq: 0 }, snapshot: { seen: 1 } });
    expect(await client.next('event')).toMatchObject({ seq: 1, payload: 'meanwhile' });
    await server.engine.application.publish('boards.1', 'drawn', 'the next');
    expect(await client.next('event')).toMatchObject({ seq: 2, payload: 'the next' });
    await client.reply({ type: 'unsubscribe', channel: 'boards.1' });
    const position = { epoch: positionOf(answer).epoch, seq: 2 };
    expect(await client.subscribe('boards.1', { position })).not.toHaveProperty('snapshot');
    await client.reply({ type: 'unsubscribe', channel: 'boards.1' });
    await client.take({ type: 'resumed' });
    expect(await client.subscribe('boards.1', { snapshot: false })).not.toHaveProperty('snapshot');
    expect(seen).toBe(1);
  });

  it('a snapshot may state its own position; a failed snapshot refuses the subscribe (P26a, P26d)', async () => {
    let state: () => { state: unknown; position?: Position } = () => ({ state: null });
    const snapshot = { shareable: false, run: () => state() };
    await start({ channels: [wireChannel('boards.:board', { behaviour: { snapshot } })] });
    const client = await server.connect('alice');
    const { epoch } = await server.broker.log.subscribe('boards.1');
    for (const n of [1, 2, 3]) await server.engine.application.publish('boards.1', 'drawn', n);

    state = () => ({ state: 'after 2', position: { epoch, seq: 2 } });
    expect(await client.subscribe('boards.1')).toEqual({
      position: { epoch, seq: 2 },
      recovery: 'new',
      snapshot: 'after 2',
    });
    expect(await client.next('event')).toMatchObject({ seq: 3 });
    await client.reply({ type: 'unsubscribe', channel: 'boards.1' });

    state = () => ({ state: 'of the future', position: { epoch, seq: 9 } });
    const subscribe = { type: 'subscribe', channel: 'boards.1' };
    expect(await client.error(subscribe)).toMatchObject({ code: 'unavailable' });
    state = () => {
      throw new Error('no state');
    };
    expect(await client.error(subscribe)).toMatchObject({ code: 'unavailable', retryable: true });
  });

  it('a ticket takes over a session only for its own user; the older connection closes with 4810 (P28, P28b, P28e)', async () => {
    const clock = new ManualClock();
    await start({ clock, settings: QUIET });
    const first = await server.connect('alice');
    const session = first.welcome?.session;
    const thief = await server.open();
    await thief.hello('mallory', { session });
    await thief.subscribe('halls.1');
    await first.subscribe('halls.1');
    await thief.next('presence');
    expect(first.ended).toBeUndefined();

    const second = await server.open();
    await second.hello('alice', { session });
    expect(await first.expectClose(4810)).toMatchObject({ reason: 'superseded|0' });
    await second.subscribe('halls.1');
    clock.advance(2 * GRACE_MS);
    // A leave or a join would have come before it.
    await server.engine.application.publish('halls.1', 'said', 'later');
    await thief.next('event');
    const forged = await server.open();
    await forged.hello('alice', { session: 'WyJhbGljZSIsIm4iLCJ4IiwxXQ.AAAA' });
    expect(second.ended).toBeUndefined();
  });

  it('a bye ends a membership at once, a lost connection only after the grace period (P19d)', async () => {
    const clock = new ManualClock();
    await start({ clock, settings: QUIET });
    const watcher = await server.connect('watcher');
    await watcher.subscribe('halls.1');
    for (const [name, leave, graced] of [
      ['bye', (client: WireClient) => client.send({ type: 'bye', id: 'z1' }), false],
      ['close', (client: WireClient) => void client.close(1000), false],
      ['cut', (client: WireClient) => client.terminate(), true],
    ] as const) {
      const client = await server.connect(name);
      await client.subscribe('halls.1');
      expect((await watcher.next('presence')).payload['join']).toEqual([{ id: name, devices: 1 }]);
      leave(client);
      if (graced) {
        await until('the server to notice', () => server.engine.sessionsOf(name).length === 0);
        clock.advance(GRACE_MS - TICK);
        await server.engine.application.publish('halls.1', 'said', 'within the grace');
        await watcher.next('event');
        clock.advance(2 * TICK);
      }
      expect((await watcher.next('presence')).payload['leave']).toEqual([name]);
    }
  });
});
