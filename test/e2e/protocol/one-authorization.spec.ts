import { afterEach, describe, expect, it } from '@jest/globals';
import type { ChannelAction, HandlerCall } from '../../../lib/core/ports/channel-definition.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { settle } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

const ROOM = 'rooms.1';
const VERDICTS = [
  ['at once', (verdict: boolean) => verdict],
  ['later', (verdict: boolean) => settle().then(() => verdict)],
  ['by an error', (verdict: boolean) => verdict || Promise.reject(new RealtimeError('forbidden'))],
] as const;

let server: WireServer;
let asked: [ChannelAction, string | undefined, unknown][];
afterEach(() => server.close());

/** Everybody may subscribe; `no` names who may not do the action. */
async function start(
  action: ChannelAction,
  answer: (verdict: boolean) => boolean | Promise<boolean> = (verdict) => verdict,
): Promise<void> {
  asked = [];
  server = await startWireServer({
    channels: [
      wireChannel('rooms.:room', {
        presence: { graceMs: 0 },
        publish: ['said'],
        behaviour: {
          authorize: {
            [action]: ({ user, payload }: HandlerCall) => {
              asked.push([action, user?.id, payload]);
              return answer(user?.id !== 'no');
            },
          },
          snapshot: { shareable: true, run: () => ({ state: 'now' }) },
        },
      }),
    ],
  });
}

const say = (...payloads: unknown[]) =>
  Promise.all(payloads.map((payload) => server.engine.application.publish(ROOM, 'said', payload)));
const epochOf = async () => (await server.engine.application.history(ROOM)).position.epoch;
const eventsOf = (client: WireClient) =>
  client.received.filter(({ type }) => type === 'event').map(({ payload }) => payload);

describe('the authorization of history covers every path to what was missed (G10)', () => {
  it.each(VERDICTS)('a no that comes %s: no replay, whatever position is stated', async (_, answer) => {
    await start('history', answer);
    await say(1, 2, 3);
    const epoch = await epochOf();
    for (const seq of [0, 1, 2]) {
      const client = await server.connect('no');
      const reply = await client.subscribe(ROOM, { position: { epoch, seq } });
      expect(reply).toMatchObject({
        recovery: 'lost',
        reason: 'not_retained',
        position: { epoch, seq: 3 },
        snapshot: 'now',
      });
      await server.rest(client);
      expect(eventsOf(client)).toEqual([]);
      expect((await client.error({ type: 'history', channel: ROOM })).code).toBe('forbidden');
      // What is new is delivered as to everybody.
      client.terminate();
    }
    const client = await server.connect('no');
    await client.subscribe(ROOM, { position: { epoch, seq: 0 } });
    await say('new');
    expect(await client.take({ type: 'event' })).toMatchObject({ seq: 4, payload: 'new' });
  });

  it.each(VERDICTS)('a yes that comes %s: replayed as ever', async (_, answer) => {
    await start('history', answer);
    await say(1, 2);
    const epoch = await epochOf();
    const client = await server.connect('yes');
    expect(await client.subscribe(ROOM, { position: { epoch, seq: 0 } })).toMatchObject({
      recovery: 'complete',
    });
    expect(await client.nextAll(2, 'event')).toHaveLength(2);
    expect(asked).toEqual([['history', 'yes', { epoch, from: 1 }]]);
  });

  it('who missed nothing has the recovery complete, and a position of another log is epoch_changed, permitted or not', async () => {
    await start('history');
    await say(1);
    const epoch = await epochOf();
    for (const user of ['yes', 'no']) {
      const client = await server.connect(user);
      expect(await client.subscribe(ROOM, { position: { epoch, seq: 1 } })).toMatchObject({
        recovery: 'complete',
      });
      expect(await client.take({ type: 'resumed' })).toMatchObject({ seq: 1 });
      await client.call({ type: 'unsubscribe', channel: ROOM });
      expect(await client.subscribe(ROOM, { position: { epoch: 'other', seq: 1 } })).toMatchObject({
        recovery: 'lost',
        reason: 'epoch_changed',
      });
    }
  });

  it('is not asked for a subscribe without a position, which reads nothing of the past', async () => {
    await start('history');
    await say(1);
    const client = await server.connect('no');
    expect(await client.subscribe(ROOM)).toMatchObject({ recovery: 'new' });
    expect(asked).toEqual([]);
  });

  it('a resume by ticket is asked as any other: the ticket carries no permission', async () => {
    await start('history');
    const first = await server.connect('no');
    const { position } = await first.subscribe(ROOM);
    first.terminate();
    await until('the session to end', () => server.engine.status.sessions === 0);
    await say(1);
    const back = await server.open();
    await back.hello('no', { session: first.welcome?.session });
    expect(await back.subscribe(ROOM, { position })).toMatchObject({ recovery: 'lost' });
    await server.rest(back);
    expect(eventsOf(back)).toEqual([]);
  });

  it.each([
    [new RealtimeError('unavailable', 'The database is away', { retryAfterMs: 300 })],
    [new RealtimeError('internal', 'A bug')],
    [new Error('secret')],
  ])(
    'an authorization that fails with %s is neither yes nor no: the client is to subscribe again later (P6d)',
    async (error) => {
      await start('history', () => Promise.reject(error));
      await say(1);
      const epoch = await epochOf();
      const client = await server.connect('yes');
      const refused = await client.error({
        type: 'subscribe',
        channel: ROOM,
        payload: { position: { epoch, seq: 0 } },
      });
      expect(refused).toMatchObject({ code: 'unavailable', retryable: true });
      expect(await client.subscribe(ROOM)).toMatchObject({ recovery: 'new' });
      expect(eventsOf(client)).toEqual([]);
    },
  );
});

describe('the authorization of presence covers the roster and every change (G10, G19)', () => {
  it.each(VERDICTS)(
    'a no that comes %s: no roster and no change, while being a member',
    async (_, answer) => {
      await start('presence', answer);
      const watcher = await server.connect('yes');
      await watcher.subscribe(ROOM);
      const client = await server.connect('no');
      const reply = await client.subscribe(ROOM, { presence: { data: { mood: 'calm' } } });
      expect(reply).toMatchObject({ recovery: 'new' });
      expect(reply).not.toHaveProperty('presence');
      expect(await watcher.next('presence')).toMatchObject({
        payload: { join: [{ id: 'no', data: { mood: 'calm' } }] },
      });
      // Everything that would be told: another joins, changes, leaves; the own change.
      const other = await server.connect('other');
      await other.subscribe(ROOM);
      await other.reply({ type: 'presence_update', channel: ROOM, payload: { data: 1 } });
      await client.reply({ type: 'presence_update', channel: ROOM, payload: { data: 2 } });
      await other.reply({ type: 'unsubscribe', channel: ROOM });
      await watcher.nextAll(4, 'presence');
      await server.rest(client);
      expect(client.received.filter(({ type }) => type === 'presence')).toEqual([]);
      expect((await client.error({ type: 'presence', channel: ROOM })).code).toBe('forbidden');
      expect((await server.engine.application.members(ROOM)).members.map(({ id }) => id).sort()).toEqual([
        'no',
        'yes',
      ]);
    },
  );

  it.each(VERDICTS)('a yes that comes %s: roster and changes as ever', async (_, answer) => {
    await start('presence', answer);
    const client = await server.connect('yes');
    expect(await client.subscribe(ROOM)).toMatchObject({ presence: { count: 1 } });
    await (await server.connect('no')).subscribe(ROOM);
    expect(await client.next('presence')).toMatchObject({ payload: { count: 2 } });
  });

  it('nor a count, where the client takes counts and the channel is large (P22a)', async () => {
    asked = [];
    server = await startWireServer({
      channels: [
        wireChannel('rooms.:room', {
          presence: { graceMs: 0, maxMembers: 1 },
          behaviour: { authorize: { presence: ({ user }) => user?.id !== 'no' } },
        }),
      ],
    });
    const client = await server.open();
    await client.hello('no', { features: ['presence-count'] });
    await client.subscribe(ROOM);
    const watcher = await server.open();
    await watcher.hello('yes', { features: ['presence-count'] });
    await watcher.subscribe(ROOM);
    for (const name of ['a', 'b']) await (await server.connect(name)).subscribe(ROOM);
    await watcher.next('presence');
    await server.rest(client);
    expect(client.pending).toEqual([]);
  });

  it('is not asked of who takes no part, or wants to be told nothing', async () => {
    await start('presence');
    const client = await server.connect('no');
    await client.subscribe(ROOM, { presence: false });
    await client.call({ type: 'unsubscribe', channel: ROOM });
    await client.subscribe(ROOM, { presence: { receive: false } });
    expect(asked).toEqual([]);
  });

  it('a later page that is permitted shows the members, and does not begin a stream of changes', async () => {
    let permitted = false;
    await start('presence', () => permitted);
    const client = await server.connect('yes');
    await client.subscribe(ROOM);
    permitted = true;
    expect(await client.reply({ type: 'presence', channel: ROOM })).toMatchObject({ count: 1 });
    await (await server.connect('other')).subscribe(ROOM);
    await server.rest(client);
    expect(client.pending).toEqual([]);
  });
});

describe('a revoke wins against what is under way (G11)', () => {
  const FORMS = ['sync', 'async'] as const;

  async function startWith(handler: () => Promise<unknown>, authorize: object = {}): Promise<void> {
    server = await startWireServer({
      channels: [
        wireChannel('rooms.:room', {
          publish: ['said'],
          behaviour: { authorize, requests: new Map([['ask', handler]]) },
        }),
      ],
    });
  }

  it.each([
    ['of the channel', ROOM],
    ['of all channels', undefined],
  ])('the reply to a request whose handler runs is not sent after a revoke %s', async (_, channel) => {
    let answer: (value: unknown) => void = () => undefined;
    let runs = 0;
    await startWith(() => new Promise((resolve) => ((answer = resolve), runs++)));
    const client = await server.connect('ada');
    await client.subscribe(ROOM);
    client.send({ type: 'request', id: 'r1', channel: ROOM, event: 'ask' });
    await until('the handler to run', () => runs === 1);
    await server.engine.revoke('ada', channel);
    answer('secret');
    expect(await client.take({ ref: 'r1' })).toMatchObject({ type: 'error', payload: { code: 'forbidden' } });
    expect(JSON.stringify(client.received)).not.toContain('secret');
  });

  it.each(FORMS)('also of a request with an authorization of its own, which is %s', async (form) => {
    let answer: (value: unknown) => void = () => undefined;
    let runs = 0;
    const yes = () => (form === 'sync' ? true : settle().then(() => true));
    await startWith(() => new Promise((resolve) => ((answer = resolve), runs++)), { request: yes });
    const client = await server.connect('ada');
    client.send({ type: 'request', id: 'r1', channel: ROOM, event: 'ask' });
    await until('the handler to run', () => runs === 1);
    await server.engine.revoke('ada', ROOM);
    answer('secret');
    expect(await client.take({ ref: 'r1' })).toMatchObject({ type: 'error', payload: { code: 'forbidden' } });
    // Nothing of another user, or another channel.
    client.send({ type: 'request', id: 'r2', channel: ROOM, event: 'ask' });
    await until('the handler to run', () => runs === 2);
    await server.engine.revoke('eve', ROOM);
    await server.engine.revoke('ada', 'rooms.2');
    answer('public');
    expect(await client.take({ ref: 'r2' })).toMatchObject({ type: 'reply', payload: 'public' });
  });

  it('a request whose client unsubscribes while its handler runs is answered', async () => {
    let answer: (value: unknown) => void = () => undefined;
    let runs = 0;
    await startWith(() => new Promise((resolve) => ((answer = resolve), runs++)));
    const client = await server.connect('ada');
    await client.subscribe(ROOM);
    client.send({ type: 'request', id: 'r1', channel: ROOM, event: 'ask' });
    await until('the handler to run', () => runs === 1);
    await client.call({ type: 'unsubscribe', channel: ROOM });
    answer('done');
    expect(await client.take({ ref: 'r1' })).toMatchObject({ type: 'reply', payload: 'done' });
  });

  it.each(FORMS)(
    'a retried publish is not acknowledged after a revoke, although it is in the log (%s)',
    async (form) => {
      let gate: Promise<unknown> = Promise.resolve();
      const publish = () => (form === 'sync' ? true : gate.then(() => true));
      await startWith(() => Promise.resolve(), { publish });
      const client = await server.connect('ada');
      const command = { type: 'publish', id: 'p1', channel: ROOM, event: 'said', payload: 1 };
      expect(await client.reply(command)).toMatchObject({ seq: 1, duplicate: false });
      expect(await client.reply(command)).toMatchObject({ seq: 1, duplicate: true });
      let open: () => void = () => undefined;
      gate = new Promise<void>((resolve) => (open = resolve));
      const { log } = server.broker;
      const read = log.read.bind(log);
      let reads = 0;
      log.read = async (request) => {
        reads++;
        await (form === 'sync' ? gate : undefined);
        return read(request);
      };
      client.send(command);
      if (form === 'sync') await until('the log to be asked', () => reads === 1);
      else await client.call({ type: 'ping' });
      await server.engine.revoke('ada', ROOM);
      open();
      expect(await client.take({ ref: 'p1' })).toMatchObject({
        type: 'error',
        payload: { code: 'forbidden', retryable: false },
      });
    },
  );
});
