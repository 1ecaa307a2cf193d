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
  it('brings the state, and the events that are still there follow (P26)', async () => {
    const client = await board({ size: 2 });
    const epoch = await subscribed(client);
    await client.reply({ type: 'unsubscribe', channel: 'boards.1' });
    for (const n of [1, 2, 3, 4]) await draw(n);
    run = () => ({ state: 'four', position: { epoch, seq: 4 } });
    const resume = { position: { epoch, seq: 0 } };
    const answer = { position: { epoch, seq: 4 }, recovery: 'truncated', from: 3, to: 4, cause: 'trimmed' };
    expect(await client.subscribe('boards.1', resume)).toEqual({ ...answer, snapshot: 'four' });
    expect(await client.next('event')).toMatchObject({ seq: 3 });
    expect(await client.next('event')).toMatchObject({ seq: 4 });
    expect(await client.next('resumed')).toMatchObject({ seq: 4 });
    await client.reply({ type: 'unsubscribe', channel: 'boards.1' });
    expect(await client.subscribe('boards.1', { ...resume, snapshot: false })).toEqual(answer);
  });
});
