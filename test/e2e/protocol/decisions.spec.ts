import { afterEach, describe, expect, it } from '@jest/globals';
import { encode } from '@msgpack/msgpack';
import type { Position } from '../../../lib/protocol/position.js';
import { ManualClock } from '../../support/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire-channel.js';
import { WireClient } from '../../support/wire-client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire-server.js';

const GRACE_MS = 10_000;
/** What the timers of the server may be late by. */
const TICK = 500;
/** For clients of a clock that jumps: they would not have answered a ping meanwhile. */
const QUIET = { heartbeat: { intervalMs: 6_000_000, timeoutMs: 6_000_000 } };

const CHANNELS = [
  wireChannel('rooms.:room', { publish: ['said'], signals: ['typing'] }),
  wireChannel('halls.:hall', { publish: ['said'], presence: { graceMs: GRACE_MS } }),
  wireChannel('ticks.:name', { publish: ['tick'], log: { retain: false } }),
];

let server: WireServer;

async function start(options: WireServerOptions = {}): Promise<WireServer> {
  server = await startWireServer({ channels: CHANNELS, ...options });
  return server;
}

afterEach(() => server.close());

describe('negotiation', () => {
  it('P1, P1a the first known subprotocol is echoed, and JSON is spoken when none was offered', async () => {
    await start();
    const choosy = await server.open({
      protocols: ['realtime.v9.cbor', 'realtime.v1.msgpack', 'realtime.v1.json'],
    });
    expect(choosy.protocol).toBe('realtime.v1.msgpack');
    const silent = await server.connect('alice', { protocols: [] });
    expect(silent.protocol).toBe('');
    expect(silent.welcome?.user).toBe('alice');
  });

  it('P1b, P2, P2b refuses unknown names, credentials alone and malformed headers with 400', async () => {
    await start();
    for (const protocols of [
      ['graphql-ws'],
      ['bearer.alice'],
      ['resume.abc'],
      ['bearer.alice', 'resume.abc'],
    ]) {
      expect((await WireClient.refused(server.url, { protocols })).status).toBe(400);
    }
    const two = await WireClient.refused(server.url, {
      protocols: ['realtime.v1.json', 'bearer.alice', 'bearer.bob'],
    });
    expect(two.status).toBe(400);
    const many = Array.from({ length: 33 }, (_, index) => `p${index}`);
    const refusal = await WireClient.refused(server.url, { protocols: ['realtime.v1.json', ...many] });
    expect(refusal.status).toBe(400);
    expect((await WireClient.refused(server.url, { protocols: ['chat'] })).body).toContain(
      'realtime.v1.json',
    );
  });

  it('P1c, P6c frames of the other kind, and frames that are nothing, close with 4805', async () => {
    await start();
    const json = await server.connect('alice');
    json.send(encode({ type: 'ping', id: 'k1' }));
    await json.expectClose(4805);
    const packed = await server.connect('alice', { protocols: ['realtime.v1.msgpack'] });
    packed.send('{"type":"ping","id":"k1"}');
    await packed.expectClose(4805);
    const broken = await server.connect('alice');
    broken.send('{"type":"ping","id":"k1"');
    await broken.expectClose(4805);
  });

  it('P2a a token with the upgrade is verified before it is answered (P18)', async () => {
    await start();
    const refusal = await WireClient.refused(server.url, { protocols: ['realtime.v1.json', 'bearer.bad'] });
    expect(refusal.status).toBe(401);
    expect(refusal.headers['www-authenticate']).toBe('Bearer');
    const client = await server.connect(undefined, { protocols: ['realtime.v1.json', 'bearer.alice'] });
    expect(client.protocol).toBe('realtime.v1.json');
    expect(client.welcome?.user).toBe('alice');
  });

  it('P18 a client that asks is answered as its upgrade would be', async () => {
    await start();
    const ask = async (token?: string): Promise<number> =>
      (
        await fetch(
          server.httpUrl,
          token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } },
        )
      ).status;
    expect([await ask(), await ask('alice'), await ask('bad')]).toEqual([426, 426, 401]);
    server.engine.beginDrain();
    const busy = await fetch(server.httpUrl);
    expect([busy.status, busy.headers.get('retry-after')]).toEqual([503, '2']);
    expect((await WireClient.refused(server.url)).status).toBe(503);
  });
});

describe('hello', () => {
  it.each([
    ['P3a another command', { type: 'ping', id: 'k1' }],
    ['P3a a malformed one', { type: 'hello', id: 'h1', payload: {} }],
    ['P3a one without an id', { type: 'hello', payload: { versions: [1] } }],
  ])('%s first closes with 4805, without a word', async (_, envelope) => {
    await start();
    const client = await server.open();
    client.send(envelope);
    await client.expectClose(4805);
    expect(client.received).toEqual([]);
  });

  it('P3a none in time closes with 4805', async () => {
    await start({ settings: { helloTimeoutMs: 40 } });
    await (await server.open()).expectClose(4805);
  });

  it('P3b no common revision closes with 4804', async () => {
    await start();
    const client = await server.open();
    client.send({ type: 'hello', id: 'h1', payload: { versions: [2, 3], token: 'alice' } });
    expect(await client.expectClose(4804)).toMatchObject({ reason: 'unsupported_version|0' });
  });

  it('P3, P3c what is sent behind hello waits and runs in order; too much of it closes with 4805', async () => {
    let admit = (): void => undefined;
    await start({
      onConnect: () => new Promise<void>((resolve) => (admit = resolve)),
      settings: { limits: { maxEnvelopesPerFrame: 4 } },
    });
    const client = await server.open();
    const hello = { type: 'hello', id: 'h1', payload: { versions: [1], token: 'alice' } };
    client.sendAll([hello, { type: 'subscribe', id: 's1', channel: 'rooms.1' }]);
    client.send({ type: 'publish', id: 'p1', channel: 'rooms.1', event: 'said' });
    await client.expectNothing(30);
    admit();
    expect((await client.next()).ref).toBe('h1');
    await client.take({ type: 'reply', ref: 's1' });
    await client.take({ type: 'reply', ref: 'p1' });

    const eager = await server.open();
    eager.sendAll([hello, { type: 'ping', id: 'k1' }]);
    eager.sendAll([2, 3, 4, 5].map((n) => ({ type: 'ping', id: `k${n}` })));
    await eager.expectClose(4805);
  });

  it.each([
    ['unauthorized', undefined, 4801],
    ['unauthorized', 'bad', 4801],
    ['token_expired', 'old', 4008],
  ])('P3e a refusal is told as %s, then closes (%s → %i)', async (code, token, close) => {
    await start();
    const client = await server.open();
    client.send({
      type: 'hello',
      id: 'h1',
      payload: { versions: [1], ...(token === undefined ? {} : { token }) },
    });
    expect(await client.next('error')).toMatchObject({ ref: 'h1', payload: { code } });
    await client.expectClose(close);
  });

  it('P3e, P18a bans and the application’s refusals are told in answer to hello', async () => {
    await start({ onConnect: ({ user }) => user?.id !== 'mallory' });
    await server.engine.ban('bob', { forMs: 60_000 });
    const banned = await server.open({ protocols: ['realtime.v1.json', 'bearer.bob'] });
    banned.send({ type: 'hello', id: 'h1', payload: { versions: [1] } });
    const { payload } = await banned.next('error');
    expect(payload['code']).toBe('banned');
    expect(Number(payload['retryAfterMs'])).toBeGreaterThan(50_000);
    const { reason } = await banned.expectClose(4803);
    expect(Number(reason.split('|')[1])).toBeGreaterThan(50_000);

    const mallory = await server.open();
    mallory.send({ type: 'hello', id: 'h1', payload: { versions: [1], token: 'mallory' } });
    expect((await mallory.next('error')).payload['code']).toBe('forbidden');
    await mallory.expectClose(4802);
  });

  it('P3f, P3g a token in hello must be of the same user as the upgrade’s; a second hello is bad_request', async () => {
    await start();
    const protocols = ['realtime.v1.json', 'bearer.alice'];
    const other = await server.open({ protocols });
    other.send({ type: 'hello', id: 'h1', payload: { versions: [1], token: 'bob' } });
    await other.expectClose(4802);
    const same = await server.connect('alice', { protocols });
    expect(await same.error({ type: 'hello', payload: { versions: [1] } })).toMatchObject({
      code: 'bad_request',
    });
    expect((await same.call({ type: 'ping' })).type).toBe('pong');
  });
});

describe('frames and envelopes', () => {
  it('P4 limits of a frame close with their codes, counted before anything runs (P4a)', async () => {
    await start({
      settings: { limits: { maxEnvelopesPerFrame: 3, maxMessageBytes: 2_000, maxFrameBytes: 5_000 } },
    });
    const ping = (id: string): string => `{"type":"ping","id":"${id}"}`;
    const frames: [string, number][] = [
      [[ping('1'), ping('2'), ping('3'), ping('4')].join('\n'), 4805],
      [`${ping('1')}\n{"type":"ping","id":"2","meta":{"x":"${'é'.repeat(1_000)}"}}`, 4806],
      ['x'.repeat(5_001), 4806],
      [`${ping('1')}\n{"type":"publish","id":"2","payload":${'['.repeat(129)}${']'.repeat(129)}}`, 4805],
      [`${ping('1')}\nnot json`, 4805],
    ];
    for (const [frame, code] of frames) {
      const client = await server.connect('alice');
      client.send(frame);
      await client.expectClose(code);
      expect(client.pending).toEqual([]);
    }
  });

  it('P4 empty lines are ignored, and a batch is answered envelope by envelope', async () => {
    await start({ settings: { limits: { maxEnvelopesPerFrame: 2 } } });
    const client = await server.connect('alice');
    client.send('\n\n{"type":"ping","id":"1"}\n\n\n{"type":"ping","id":"2"}\n');
    expect([(await client.next('pong')).ref, (await client.next('pong')).ref]).toEqual(['1', '2']);
  });

  it('P5b, P6b null is a value; every wrong field is named by its path, with the ref that can be read', async () => {
    await start();
    const client = await server.connect('alice');
    const error = await client.error({
      type: 'subscribe',
      channel: 'rooms.1',
      ts: 'now',
      payload: { position: { epoch: 'e' }, snapshot: null },
    });
    expect(error.code).toBe('bad_request');
    expect(error.details?.map(({ path }) => path)).toEqual([
      'ts',
      'payload.position.seq',
      'payload.snapshot',
    ]);
    client.send({ type: 'ping', id: 7 });
    const answer = await client.next('error');
    expect(answer).not.toHaveProperty('ref');
    client.send('[1,2]');
    expect((await client.next('error')).payload['code']).toBe('bad_request');
  });

  it('P6a what is unknown is ignored', async () => {
    await start();
    const client = await server.connect('alice');
    const payload = { later: { a: 1 }, presence: false };
    expect((await client.call({ type: 'subscribe', channel: 'rooms.1', pv: 3, payload })).type).toBe('reply');
  });

  it('P23c, P23d own channels are escaped and private; unknown and malformed names differ', async () => {
    await start();
    const client = await server.connect('auth0|7');
    await client.subscribe('$user.auth0~7C7');
    await server.engine.publish('$user.auth0~7C7', 'notice', { n: 1 });
    expect(await client.next('event')).toMatchObject({ channel: '$user.auth0~7C7', payload: { n: 1 } });
    const code = async (command: Record<string, unknown>): Promise<string> =>
      (await client.error(command)).code;
    expect(await code({ type: 'subscribe', channel: '$user.bob' })).toBe('forbidden');
    expect(await code({ type: 'publish', channel: '$user.auth0~7C7', event: 'notice' })).toBe('forbidden');
    expect(await code({ type: 'subscribe', channel: '$other' })).toBe('unknown_channel');
    expect(await code({ type: 'subscribe', channel: 'rooms' })).toBe('unknown_channel');
    expect(await code({ type: 'subscribe', channel: 'rooms.1.2' })).toBe('unknown_channel');
    for (const channel of ['rooms.', '.rooms', 'rooms.ü', 'rooms 1', `rooms.${'x'.repeat(200)}`]) {
      expect(await code({ type: 'subscribe', channel })).toBe('bad_request');
    }
  });
});

describe('subscriptions', () => {
  const positionOf = (answer: Record<string, unknown>): Position => answer['position'] as Position;

  it('P7, P24 unsubscribe is answered whatever there was to end', async () => {
    await start();
    const client = await server.connect('alice');
    expect(await client.reply({ type: 'unsubscribe', channel: 'nothing.of.the.kind' })).toEqual({});
    await client.subscribe('rooms.1');
    expect(await client.error({ type: 'subscribe', channel: 'rooms.1' })).toMatchObject({
      code: 'already_subscribed',
    });
    await client.reply({ type: 'unsubscribe', channel: 'rooms.1' });
    await server.engine.publish('rooms.1', 'said', 1);
    expect(positionOf(await client.subscribe('rooms.1')).seq).toBe(1);
    // What came meanwhile would have come before this answer.
    expect(client.pending).toEqual([]);
  });

  it('P10b a position beyond the end is not good; nor is one of an unknown epoch', async () => {
    await start();
    const client = await server.connect('alice');
    await server.engine.publish('rooms.1', 'said', 1);
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
    await server.engine.publish('rooms.1', 'said', 2);
    expect(await client.next('event')).toMatchObject({ seq: 2 });
  });

  it('P11a members come with the answer unless they are not wanted, 100 of them at most', async () => {
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
    await server.engine.publish('halls.1', 'said', 'behind the join');
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

  it('P12, P13 a resume that missed nothing is told resumed at once, as often as wanted', async () => {
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

  it('P12c, P14e an event past its ttl is a gap in a replay, and is not there in history', async () => {
    const clock = new ManualClock();
    await start({ clock });
    const client = await server.connect('alice');
    const { epoch } = positionOf(await client.subscribe('rooms.1'));
    await client.reply({ type: 'unsubscribe', channel: 'rooms.1' });
    await server.engine.publish('rooms.1', 'said', 1, { ttlMs: 1 });
    await server.engine.publish('rooms.1', 'said', 2);
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

  it('P11, P11b truncated says which part follows and why', async () => {
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
      const { epoch } = await server.broker.subscribe(channel);
      for (let n = 1; n <= 5; n++) await server.engine.publish(channel, 'said', n);
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

  it('P27 a channel without retention resumes at its tip only, and has no history', async () => {
    await start();
    const client = await server.connect('alice');
    const { epoch } = positionOf(await client.subscribe('ticks.a'));
    await server.engine.publish('ticks.a', 'tick', 1);
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

  it('P26, P26c a snapshot comes to those who begin anew, at a position that the rest follows', async () => {
    let seen = 0;
    const channel = wireChannel('boards.:board', {
      publish: ['drawn'],
      behaviour: {
        snapshot: {
          shareable: true,
          run: async () => {
            seen++;
            await server.engine.publish('boards.1', 'drawn', 'meanwhile');
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
    await server.engine.publish('boards.1', 'drawn', 'the next');
    expect(await client.next('event')).toMatchObject({ seq: 2, payload: 'the next' });
    await client.reply({ type: 'unsubscribe', channel: 'boards.1' });
    const position = { epoch: positionOf(answer).epoch, seq: 2 };
    expect(await client.subscribe('boards.1', { position })).not.toHaveProperty('snapshot');
    await client.reply({ type: 'unsubscribe', channel: 'boards.1' });
    await client.take({ type: 'resumed' });
    expect(await client.subscribe('boards.1', { snapshot: false })).not.toHaveProperty('snapshot');
    expect(seen).toBe(1);
  });

  it('P26a, P26d a snapshot may state its own position; one that fails refuses the subscribe', async () => {
    let state: () => { state: unknown; position?: Position } = () => ({ state: null });
    const snapshot = { shareable: false, run: () => state() };
    await start({ channels: [wireChannel('boards.:board', { behaviour: { snapshot } })] });
    const client = await server.connect('alice');
    const { epoch } = await server.broker.subscribe('boards.1');
    for (const n of [1, 2, 3]) await server.engine.publish('boards.1', 'drawn', n);

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
    expect(await client.error(subscribe)).toMatchObject({ code: 'internal' });
  });

  it('P28, P28b, P28e a ticket is taken over by its user only; the older connection ends with 4810', async () => {
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
    await server.engine.publish('halls.1', 'said', 'later');
    await thief.next('event');
    const forged = await server.open();
    await forged.hello('alice', { session: 'WyJhbGljZSIsIm4iLCJ4IiwxXQ.AAAA' });
    expect(second.ended).toBeUndefined();
  });

  it('P19d leaving on purpose ends a membership at once, being cut only after the grace', async () => {
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
        await server.engine.publish('halls.1', 'said', 'within the grace');
        await watcher.next('event');
        clock.advance(2 * TICK);
      }
      expect((await watcher.next('presence')).payload['leave']).toEqual([name]);
    }
  });
});

describe('publish', () => {
  const publish = (client: WireClient, id: string, payload: unknown, more: object = {}) =>
    client.call({ type: 'publish', id, channel: 'rooms.1', event: 'said', payload, ...more });

  it('P15, P15a the same content is a duplicate whatever stands beside it; other content a conflict', async () => {
    await start();
    const client = await server.connect('alice');
    const first = await publish(client, 'p1', { a: 1, b: 2 });
    expect(first.payload).toMatchObject({ seq: 1, duplicate: false });
    const again = await publish(client, 'p1', { a: 1, b: 2 }, { key: 'k', ttl: 5, meta: { x: 1 } });
    expect(again.payload).toEqual({ ...first.payload, duplicate: true });
    expect((await publish(client, 'p1', { b: 2, a: 1 })).payload['code']).toBe('conflict');
    const bob = await server.connect('bob');
    expect((await publish(bob, 'p1', 'another producer')).payload).toMatchObject({
      seq: 2,
      duplicate: false,
    });
  });

  it('P15a, P15f both codecs mean the same content, and MessagePack keeps its own kinds of value', async () => {
    await start();
    const json = await server.connect('alice');
    const packed = await server.connect('alice', { protocols: ['realtime.v1.msgpack'] });
    await publish(json, 'p1', { text: 'é', n: 1 });
    expect((await publish(packed, 'p1', { text: 'é', n: 1 })).payload['duplicate']).toBe(true);
    await json.subscribe('rooms.1');
    await packed.subscribe('rooms.1');
    const at = new Date(1_767_225_600_000);
    await publish(packed, 'p2', { bytes: Uint8Array.of(1, 2), at });
    expect((await json.next('event')).payload['at']).toBe(at.toISOString());
    const { payload } = await packed.take({ type: 'event' });
    expect([...(payload['bytes'] as Uint8Array)]).toEqual([1, 2]);
    expect(payload['at']).toEqual(at);
  });

  it('P15b undeclared events, and channels without publishing, are forbidden alike', async () => {
    await start({ channels: [...CHANNELS, wireChannel('feeds.:feed')] });
    const client = await server.connect('alice');
    const refused = async (channel: string, event: string) =>
      await client.error({ type: 'publish', channel, event });
    expect(await refused('rooms.1', 'deleted')).toEqual(await refused('feeds.1', 'said'));
  });

  it('P15e a refused publish leaves no trace', async () => {
    let refuse = true;
    await start({
      channels: [
        wireChannel('rooms.:room', {
          behaviour: {
            publish: new Map([['said', undefined]]),
            authorize: { publish: () => !refuse },
          },
        }),
      ],
    });
    const client = await server.connect('alice');
    expect((await publish(client, 'p1', 'first')).payload['code']).toBe('forbidden');
    refuse = false;
    expect((await publish(client, 'p1', 'second')).payload).toMatchObject({ seq: 1, duplicate: false });
  });

  it('P16 a pipeline whose first is refused fails as a whole, and succeeds in order when it is sent again', async () => {
    let refuse = true;
    await start({
      channels: [
        wireChannel('rooms.:room', {
          behaviour: {
            publish: new Map([
              [
                'said',
                async ({ payload }) => {
                  if (payload === 1 && refuse) throw new Error('not now');
                  return payload;
                },
              ],
            ]),
          },
        }),
      ],
    });
    const client = await server.connect('alice');
    await client.subscribe('rooms.1');
    const send = (): void =>
      client.sendAll(
        [1, 2, 3].map((n) => ({
          type: 'publish',
          id: `p${n}`,
          channel: 'rooms.1',
          event: 'said',
          payload: n,
          ...(n === 1 ? {} : { after: `p${n - 1}` }),
        })),
      );
    const code = async (id: string): Promise<unknown> => (await client.take({ ref: id })).payload['code'];
    send();
    expect([await code('p1'), await code('p2'), await code('p3')]).toEqual([
      'internal',
      'out_of_order',
      'out_of_order',
    ]);
    refuse = false;
    send();
    for (const n of [1, 2, 3])
      expect(await client.take({ type: 'event' })).toMatchObject({ seq: n, payload: n });
  });

  it('P16a, P16b `after` is of one producer; without it a publish stands for itself', async () => {
    await start();
    const [alice, bob] = [await server.connect('alice'), await server.connect('bob')];
    expect((await publish(alice, 'p1', 1)).payload).toMatchObject({ seq: 1 });
    expect((await publish(bob, 'p2', 2, { after: 'p1' })).payload['code']).toBe('out_of_order');
    expect((await publish(bob, 'p2', 2)).payload).toMatchObject({ seq: 2, duplicate: false });
    expect((await publish(alice, 'p3', 3, { after: 'p1' })).payload).toMatchObject({ seq: 3 });
  });

  it('P28f an anonymous client is known by its ticket, without which it is somebody else', async () => {
    await start({ settings: { anonymous: true } });
    const first = await server.connect();
    await publish(first, 'p1', 1);
    first.terminate();
    const again = await server.open();
    await again.hello(undefined, { session: first.welcome?.session });
    expect((await publish(again, 'p1', 1)).payload).toMatchObject({ seq: 1, duplicate: true });
    const other = await server.connect();
    expect((await publish(other, 'p1', 1)).payload).toMatchObject({ seq: 2, duplicate: false });
  });

  it('P6d, G25 a failure of the application is an id and nothing else', async () => {
    const channel = wireChannel('rooms.:room', {
      behaviour: {
        publish: new Map([
          [
            'said',
            () => {
              throw new Error('password=hunter2');
            },
          ],
        ]),
      },
    });
    await start({ channels: [channel] });
    const client = await server.connect('alice');
    const { payload } = await publish(client, 'p1', 1);
    expect(JSON.stringify(payload)).not.toContain('hunter2');
    const id = /Internal error (\S+)/.exec(String(payload['message']))?.[1];
    expect(id).toBeDefined();
    const logged = server.records.find(
      ({ level, message }) => level === 'error' && message.includes(String(id)),
    );
    expect(logged?.error).toMatchObject({ message: 'password=hunter2' });
  });
});

describe('signals, requests, history', () => {
  it('signals go to every subscriber, the sender included, and need a subscription and a declaration (G10)', async () => {
    await start();
    const [alice, bob] = [await server.connect('alice'), await server.connect('bob')];
    const typing = { type: 'signal', channel: 'rooms.1', event: 'typing', payload: true };
    expect(await alice.error(typing)).toMatchObject({ code: 'not_subscribed' });
    await alice.subscribe('rooms.1');
    await bob.subscribe('rooms.1');
    expect(await alice.error({ ...typing, event: 'shouting' })).toMatchObject({ code: 'forbidden' });
    expect(await alice.reply(typing)).toEqual({});
    for (const client of [alice, bob]) {
      expect(await client.take({ type: 'signal' })).toMatchObject({
        event: 'typing',
        user: 'alice',
        payload: true,
      });
    }
    expect((await alice.reply({ type: 'history', channel: 'rooms.1' }))['events']).toEqual([]);
  });

  it('P7b a handler that hangs is answered with timeout', async () => {
    const never = (): Promise<never> => new Promise(() => undefined);
    await start({
      requests: new Map([['hang', { authorize: 'public', handle: never }]]),
      settings: { handlerTimeoutMs: 30 },
    });
    const client = await server.connect('alice');
    expect(await client.error({ type: 'request', event: 'hang' })).toMatchObject({
      code: 'timeout',
      retryable: true,
    });
  });

  it('requests of an unknown event are bad_request, after the authorization', async () => {
    await start();
    const client = await server.connect('alice');
    const ask = { type: 'request', channel: 'rooms.1', event: 'nothing' };
    expect(await client.error(ask)).toMatchObject({ code: 'not_subscribed' });
    await client.subscribe('rooms.1');
    expect(await client.error(ask)).toMatchObject({ code: 'bad_request' });
    expect(await client.error({ type: 'request', event: 'nothing' })).toMatchObject({ code: 'bad_request' });
  });

  it('history gives 100 events unless told otherwise, 1000 at most, from both ends', async () => {
    await start();
    const client = await server.connect('alice');
    await client.subscribe('rooms.1');
    for (let n = 1; n <= 1_050; n++) await server.engine.publish('rooms.1', 'said', n);
    const seqs = async (payload: Record<string, unknown>): Promise<[number, number, number, unknown]> => {
      const page = await client.reply({ type: 'history', channel: 'rooms.1', payload });
      const events = page['events'] as { seq: number }[];
      return [events.length, events[0]?.seq ?? 0, events.at(-1)?.seq ?? 0, page['more']];
    };
    // The log keeps 1000 events, 51 to 1050.
    expect(await seqs({})).toEqual([100, 51, 150, true]);
    expect(await seqs({ limit: 5_000 })).toEqual([1_000, 51, 1_050, false]);
    expect(await seqs({ from: 100, until: 101 })).toEqual([2, 100, 101, false]);
    expect(await seqs({ until: 60, limit: 3, reverse: true })).toEqual([3, 60, 58, true]);
    expect(await seqs({ epoch: 'other' })).toEqual([0, 0, 0, false]);
    expect(await client.error({ type: 'history', channel: 'rooms.2' })).toMatchObject({
      code: 'not_subscribed',
    });
    expect(await client.error({ type: 'history', channel: 'rooms.1', payload: { limit: 0 } })).toMatchObject({
      code: 'bad_request',
    });
  });
});

describe('limits (G16)', () => {
  it('a command above the rate is refused with a delay and does not run; subscribes and pongs are free', async () => {
    await start({ settings: { limits: { burst: 2, ratePerSecond: 1, maxChannels: 3 } } });
    const client = await server.connect('alice');
    for (const room of [1, 2, 3]) await client.subscribe(`rooms.${room}`);
    for (let n = 0; n < 5; n++) client.send({ type: 'pong' });
    const codes: unknown[] = [];
    for (let n = 0; n < 3; n++) {
      const answer = await client.call({ type: 'publish', channel: 'rooms.9', event: 'said' });
      codes.push(answer.payload['code']);
      if (n === 2) expect(Number(answer.payload['retryAfterMs'])).toBeGreaterThan(100);
    }
    expect(codes).toEqual([undefined, undefined, 'rate_limited']);
    expect((await server.engine.history('rooms.9')).events).toHaveLength(2);
  });

  it('who goes on is closed with 4807 and banned for a while', async () => {
    await start({
      settings: {
        limits: { burst: 1, ratePerSecond: 1 },
        abuse: { throttleAfter: 3, closeAfter: 5, banMs: 30_000 },
      },
    });
    const client = await server.connect('alice');
    client.sendAll(Array.from({ length: 10 }, (_, n) => ({ type: 'ping', id: `k${n}` })));
    const { reason } = await client.expectClose(4807);
    expect(reason).toBe('rate_abuse|30000');
    const again = await server.open();
    again.send({ type: 'hello', id: 'h1', payload: { versions: [1], token: 'alice' } });
    await again.expectClose(4803);
    await server.connect('bob');
  });

  it('G17, P18 connections of one address, and of the node, are bounded; refusals say when to come back', async () => {
    await start({ settings: { limits: { maxConnectionsPerAddress: 1 } } });
    const client = await server.connect('alice');
    const busy = await WireClient.refused(server.url);
    expect([busy.status, busy.headers['retry-after']]).toEqual([429, '2']);
    await client.close();
    await server.connect('alice');
    await server.close();
    await start({ settings: { limits: { maxConnections: 1 } } });
    await server.connect('alice');
    const full = await WireClient.refused(server.url);
    expect([full.status, full.headers['retry-after']]).toEqual([503, '2']);
  });

  it('subscriptions are bounded', async () => {
    await start({ settings: { limits: { maxChannels: 1 } } });
    const client = await server.connect('alice');
    await client.subscribe('rooms.1');
    expect(await client.error({ type: 'subscribe', channel: 'rooms.2' })).toMatchObject({
      code: 'too_many_channels',
    });
    await client.reply({ type: 'unsubscribe', channel: 'rooms.1' });
    await client.subscribe('rooms.2');
  });
});

describe('the end', () => {
  it('P19b, G18 a drain says bye, flushes and closes with 4001', async () => {
    await start({ settings: { drainSpreadMs: 700 } });
    const client = await server.connect('alice');
    await client.subscribe('rooms.1');
    await server.engine.publish('rooms.1', 'said', 1);
    await server.engine.drain(1_000);
    expect(await client.take({ type: 'bye' })).toMatchObject({
      payload: { code: 4001, retryAfterMs: 0, spreadMs: 700 },
    });
    expect((await client.take({ type: 'event' })).seq).toBe(1);
    expect(await client.expectClose(4001)).toMatchObject({ reason: 'drain|0' });
  });

  it('G12 a token’s end is announced, can be put off by the same user only, and closes with 4008', async () => {
    const clock = new ManualClock();
    await start({ clock, settings: QUIET });
    const client = await server.connect('alice+20000');
    expect(client.welcome?.tokenExpiresInMs).toBe(20_000);
    clock.advance(10_000 + TICK);
    const asked = await client.next('auth_required');
    expect(Number(asked.payload['withinMs'])).toBeLessThanOrEqual(10_000);
    expect(await client.error({ type: 'auth', payload: { token: 'bob' } })).toMatchObject({
      code: 'forbidden',
    });
    expect(await client.error({ type: 'auth', payload: { token: 'bad' } })).toMatchObject({
      code: 'unauthorized',
    });
    expect(await client.reply({ type: 'auth', payload: { token: 'alice+20000' } })).toEqual({
      expiresInMs: 20_000,
    });
    clock.advance(10_000 + TICK);
    await client.next('auth_required');
    clock.advance(10_000);
    await client.expectClose(4008);
  });

  it('P8 a client that does not answer is closed with 4004; one that does is not', async () => {
    const clock = new ManualClock();
    await start({ clock, settings: { heartbeat: { intervalMs: 20_000, timeoutMs: 30_000 } } });
    const connect = (name: string) => server.connect(name, { answersPings: false });
    const [mute, alive] = [await connect('mute'), await connect('alive')];
    // The first ping comes at a random part of the interval, and nobody has missed it yet when it is over.
    clock.advance(20_000 + TICK);
    expect((await mute.next('ping')).id).toEqual(expect.any(String));
    alive.send({ type: 'pong', ref: (await alive.next('ping')).id });
    // Answered behind the pong, so the sign of life has been seen.
    await alive.call({ type: 'ping' });
    clock.advance(30_000 + TICK);
    await mute.expectClose(4004);
    expect((await alive.call({ type: 'ping' })).type).toBe('pong');
  });
});
