import { afterEach, describe, expect, it } from '@jest/globals';
import type { SnapshotState } from '../../../../lib/core/ports/channel-definition.js';
import type { Position } from '../../../../lib/protocol/position.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { until } from '../../../support/until.js';
import { wireChannel } from '../../../support/wire/channel.js';
import type { WireClient } from '../../../support/wire/client.js';
import { server, start, stop } from './setting.js';

afterEach(stop);

const ASK = { type: 'snapshot', channel: 'boards.1' };

/** What the handler of `boards.*` does. */
let run: () => SnapshotState | Promise<SnapshotState>;

async function board(log?: { size: number }, replayLimit = 1_000): Promise<WireClient> {
  run = () => ({ state: 'first' });
  const behaviour = { snapshot: { shareable: false, run: () => run() } };
  await start({ channels: [wireChannel('boards.:board', { behaviour, log, policy: { replayLimit } })] });
  return server.connect('alice');
}

const draw = (payload: unknown) => server.engine.application.publish('boards.1', 'drawn', payload);

/** Subscribes, and gives the epoch of the log. */
async function subscribed(client: WireClient): Promise<string> {
  return ((await client.subscribe('boards.1'))['position'] as Position).epoch;
}

describe('the state of a channel, asked for again', () => {
  it('comes behind what the client was sent, and before everything else (P26e)', async () => {
    const client = await board();
    const epoch = await subscribed(client);
    const other = await server.connect('bob');
    await subscribed(other);
    await draw(1);
    await other.next('event');
    run = async () => {
      await draw(2);
      await draw(3);
      // What others are sent by now, this client is sent behind the answer.
      await other.next('event');
      await other.next('event');
      return { state: 'with three' };
    };
    await client.next('event');
    client.received.length = 0;
    expect(await client.reply(ASK)).toEqual({ position: { epoch, seq: 1 }, snapshot: 'with three' });
    await draw(4);
    await until('every event', () => client.received.length === 4);
    expect(client.received.map(({ type, seq }) => seq ?? type)).toEqual(['reply', 2, 3, 4]);
    for (let n = 2; n <= 4; n++) await client.next('event');
    // The second time, with a handler that need not be waited for.
    run = () => ({ state: 'with four' });
    expect(await client.reply(ASK)).toEqual({ position: { epoch, seq: 4 }, snapshot: 'with four' });
    await draw(5);
    expect(await client.next('event')).toMatchObject({ seq: 5 });
  });

  it('a handler that fails costs the answer, and delivery continues (P26e)', async () => {
    const client = await board();
    await subscribed(client);
    run = async () => {
      await draw(1);
      throw new RealtimeError('refused', 'Not now');
    };
    expect(await client.error(ASK)).toMatchObject({ code: 'refused', message: 'Not now' });
    expect(await client.next('event')).toMatchObject({ seq: 1 });
  });

  it.each([
    [
      'a promise that is rejected',
      async () => {
        throw new Error('The database is away');
      },
    ],
    [
      'an error that is thrown',
      () => {
        throw new Error('The database is away');
      },
    ],
  ])(
    'a handler that fails by itself is answered with unavailable, as a subscribe is: %s (P6d)',
    async (_, fail) => {
      const client = await board();
      await subscribed(client);
      run = fail;
      const told = await client.error(ASK);
      expect(told).toMatchObject({ code: 'unavailable', retryable: true });
      expect(told.message).not.toContain('database');
      run = () => ({ state: 'again' });
      expect(await client.reply(ASK)).toMatchObject({ snapshot: 'again' });
    },
  );

  it('one command at a time is run, and the other is answered with unavailable (P26e)', async () => {
    const client = await board();
    await subscribed(client);
    let finish!: (state: SnapshotState) => void;
    run = () => new Promise((resolve) => (finish = resolve));
    client.send({ ...ASK, id: 't1' });
    expect(await client.error(ASK)).toMatchObject({ code: 'unavailable', retryable: true });
    finish({ state: 'once' });
    expect(await client.next('reply')).toMatchObject({ ref: 't1', payload: { snapshot: 'once' } });
    run = () => ({ state: 'again' });
    expect(await client.reply(ASK)).toMatchObject({ snapshot: 'again' });
  });

  it('a state that is stated to be behind what the client was sent is refused for now (P26a, P26e)', async () => {
    const client = await board();
    const epoch = await subscribed(client);
    for (const n of [1, 2]) await draw(n);
    await client.next('event');
    await client.next('event');
    run = () => ({ state: 'old', position: { epoch, seq: 1 } });
    expect(await client.error(ASK)).toMatchObject({ code: 'unavailable', retryable: true });
    run = () => ({ state: 'new', position: { epoch, seq: 2 } });
    expect(await client.reply(ASK)).toEqual({ position: { epoch, seq: 2 }, snapshot: 'new' });
  });

  it('needs a subscription, and a channel without a snapshot is answered without one (P26e)', async () => {
    const client = await board();
    expect(await client.error(ASK)).toMatchObject({ code: 'not_subscribed' });
    await subscribed(client);
    let finish: ((state: SnapshotState) => void) | undefined;
    run = () => new Promise((resolve) => (finish = resolve));
    client.send({ ...ASK, id: 't1' });
    await until('the handler to run', () => finish !== undefined);
    await client.reply({ type: 'unsubscribe', channel: 'boards.1' });
    finish?.({ state: 'too late' });
    expect(await client.next('error')).toMatchObject({ ref: 't1', payload: { code: 'not_subscribed' } });

    await stop();
    await start();
    const other = await server.connect('alice');
    const { position } = await other.subscribe('rooms.1');
    expect(await other.reply({ type: 'snapshot', channel: 'rooms.1' })).toEqual({ position });
  });
});

describe('a truncation that history can fill', () => {
  it('brings no state, and nor does a complete resume (P11b, P26)', async () => {
    const client = await board(undefined, 2);
    const epoch = await subscribed(client);
    await client.reply({ type: 'unsubscribe', channel: 'boards.1' });
    for (const n of [1, 2, 3, 4]) await draw(n);
    for (const seq of [0, 3]) {
      const answer = await client.subscribe('boards.1', { position: { epoch, seq } });
      expect(answer).toMatchObject({ recovery: seq === 0 ? 'truncated' : 'complete' });
      expect(answer).not.toHaveProperty('snapshot');
      await client.reply({ type: 'unsubscribe', channel: 'boards.1' });
    }
  });
});

describe('a truncation that history cannot fill', () => {
  /** A log that holds 3 and 4 of four events, a client that had none of them, and what it is sent. */
  async function resumed(
    state: (epoch: string) => SnapshotState | Promise<SnapshotState>,
    extra: object = {},
  ) {
    const client = await board({ size: 2 });
    const epoch = await subscribed(client);
    await client.reply({ type: 'unsubscribe', channel: 'boards.1' });
    for (const n of [1, 2, 3, 4]) await draw(n);
    run = () => state(epoch);
    client.received.length = 0;
    const answer = await client.subscribe('boards.1', { position: { epoch, seq: 0 }, ...extra });
    await draw('live');
    const isLive = (): boolean => client.received.some(({ payload }) => payload === ('live' as unknown));
    await until('the live event', isLive);
    return { epoch, answer, follows: client.received.slice(1).map(({ type, seq }) => `${type} ${seq}`) };
  }

  it.each([
    [2, 3, ['event 3', 'event 4', 'resumed 4', 'event 5']],
    [3, 4, ['event 4', 'resumed 4', 'event 5']],
    [4, 5, ['resumed 4', 'event 5']],
  ])(
    'brings a state that is stated to have everything up to %i, and only what is behind that follows (P26f)',
    async (seq, from, expected) => {
      const { epoch, answer, follows } = await resumed((own) => ({
        state: 'all',
        position: { epoch: own, seq },
      }));
      const position = { epoch, seq: 4 };
      expect(answer).toEqual({
        position,
        recovery: 'truncated',
        from,
        to: 4,
        cause: 'trimmed',
        snapshot: 'all',
      });
      expect(follows).toEqual(expected);
    },
  );

  it('brings a state that has events which were appended while the handler ran, and these do not follow (P26f)', async () => {
    const { epoch, answer, follows } = await resumed(async (own) => {
      for (const n of [5, 6]) await draw(n);
      return { state: 'six', position: { epoch: own, seq: 6 } };
    });
    expect(answer).toMatchObject({ position: { epoch, seq: 6 }, from: 7, to: 6, snapshot: 'six' });
    expect(follows).toEqual(['resumed 6', 'event 7']);
  });

  it('brings a state of which nobody knows what it has, and everything that is still there follows (P26f)', async () => {
    const { answer, follows } = await resumed(() => ({ state: 'some' }));
    expect(answer).toMatchObject({ from: 3, to: 4, snapshot: 'some' });
    expect(follows).toEqual(['event 3', 'event 4', 'resumed 4', 'event 5']);
  });

  it('brings no state to a client that wants none, and everything that is still there follows (P26)', async () => {
    const stated = (epoch: string): SnapshotState => ({ state: 'four', position: { epoch, seq: 4 } });
    const { answer, follows } = await resumed(stated, { snapshot: false });
    expect(answer).toMatchObject({ from: 3, to: 4 });
    expect(answer).not.toHaveProperty('snapshot');
    expect(follows).toEqual(['event 3', 'event 4', 'resumed 4', 'event 5']);
  });

  it('loses nothing where the state is stated to be behind what is still there: the client asks again (P26a)', async () => {
    const client = await board({ size: 2 });
    const epoch = await subscribed(client);
    await client.reply({ type: 'unsubscribe', channel: 'boards.1' });
    for (const n of [1, 2, 3, 4]) await draw(n);
    run = () => ({ state: 'one', position: { epoch, seq: 1 } });
    const ask = { type: 'subscribe', channel: 'boards.1', payload: { position: { epoch, seq: 0 } } };
    expect(await client.error(ask)).toMatchObject({ code: 'unavailable', retryable: true });
  });
});
