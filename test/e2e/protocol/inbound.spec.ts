import { afterEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireServer, type WireServer, type WireSettings } from '../../support/wire/server.js';

let server: WireServer;
let clock: ManualClock;
afterEach(() => server.close());

/** A server whose time stands still: a rate is a number of commands then. */
async function start(settings: WireSettings): Promise<void> {
  clock = new ManualClock();
  server = await startWireServer({
    clock,
    channels: [wireChannel('rooms.:room', { publish: ['said'] })],
    settings,
  });
}

const pings = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => ({ type: 'ping', id: `p${from + index}` }));

describe('limits of inbound commands (G16)', () => {
  it('commands above the rate are refused with a delay, do not run, and succeed after the delay (G16)', async () => {
    await start({ limits: { ratePerSecond: 10, burst: 5 } });
    const client = await server.connect('ada');
    client.sendAll(pings(5));
    await client.nextAll(5, 'pong');
    const refused = await client.error({ type: 'publish', id: 'm1', channel: 'rooms.1', event: 'said' });
    expect(refused).toMatchObject({ code: 'rate_limited', retryable: true });
    expect(refused.retryAfterMs).toBeGreaterThanOrEqual(1);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(100);
    expect((await server.engine.application.history('rooms.1')).events).toEqual([]);
    clock.advance(refused.retryAfterMs as number);
    expect(
      await client.reply({ type: 'publish', id: 'm1', channel: 'rooms.1', event: 'said' }),
    ).toMatchObject({
      seq: 1,
    });
  });

  it('malformed envelopes count like commands (G16)', async () => {
    await start({ limits: { ratePerSecond: 10, burst: 5 } });
    const client = await server.connect('ada');
    client.sendAll(Array.from({ length: 6 }, (_, index) => ({ type: 'shout', id: `s${index}` })));
    const codes = (await client.nextAll(6, 'error')).map(({ payload }) => payload['code']);
    expect(codes).toEqual([...Array.from({ length: 5 }, () => 'bad_request'), 'rate_limited']);
  });

  it('bytes per second are bounded (G16)', async () => {
    await start({ limits: { bytesPerSecond: 4_000, ratePerSecond: 1e6, burst: 1e6 } });
    const client = await server.connect('ada');
    const big = (id: string) => ({ type: 'ping', id, meta: { pad: 'x'.repeat(3_900) } });
    expect((await client.call(big('p1'))).type).toBe('pong');
    // Twice the rate may come at once.
    expect((await client.call(big('p2'))).type).toBe('pong');
    expect((await client.error(big('p3'))).code).toBe('rate_limited');
    clock.advance(2_000);
    expect((await client.call(big('p4'))).type).toBe('pong');
  });

  it('a rate is one of time that passes, wherever the wall clock is (G16, G28)', async () => {
    await start({ limits: { ratePerSecond: 1, burst: 1 } });
    const client = await server.connect('ada');
    for (let round = 0; round < 4; round++) {
      expect((await client.call({ type: 'ping' })).type).toBe('pong');
      expect((await client.error({ type: 'ping' })).code).toBe('rate_limited');
      clock.advance(1_000);
    }
  });

  it('bytes without a command pause reading too, and above a size close the connection (G16)', async () => {
    await start({
      limits: { bytesPerSecond: 4_000, ratePerSecond: 1e6, burst: 1e6 },
      abuse: { closeAfter: 3 },
    });
    const client = await server.connect('ada');
    const blank = '\n'.repeat(7_900);
    client.send(blank);
    client.send(blank);
    await server.rest(client);
    client.send({ type: 'ping', id: 'p1' });
    await server.rest(await server.connect('bob'));
    expect(client.pending).toEqual([]);
    clock.advance(2_000);
    expect((await client.next()).ref).toBe('p1');
    // Each above the rate is as large as nearly two violations, once it is parsed.
    client.send(blank);
    await server.rest(await server.connect('eve'));
    clock.advance(2_000);
    await client.expectClose(4807);
  });

  it('the rate of a user counts all connections of that user and no others (G16)', async () => {
    await start({ limits: { ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 5 } });
    const one = await server.connect('ada');
    const two = await server.connect('ada');
    one.sendAll(pings(5));
    await one.nextAll(5, 'pong');
    two.sendAll(pings(5));
    await two.nextAll(5, 'pong');
    expect((await one.error({ type: 'ping' })).code).toBe('rate_limited');
    expect((await two.error({ type: 'ping' })).code).toBe('rate_limited');
    const bob = await server.connect('bob');
    expect((await bob.call({ type: 'ping' })).type).toBe('pong');
  });

  it('what the rate of a user refuses has another delay each time, and costs the connection nothing (G16)', async () => {
    await start({ limits: { ratePerSecond: 1, burst: 8, userRatePerSecond: 2 } });
    const [one, two] = [await server.connect('ada'), await server.connect('ada')];
    one.sendAll(pings(4));
    await one.nextAll(4, 'pong');
    const delays: number[] = [];
    for (const client of [one, two, one, two, one, two, one, two]) {
      const refused = await client.error({ type: 'ping' });
      expect(refused.code).toBe('rate_limited');
      delays.push(refused.retryAfterMs as number);
    }
    // The next token of the user comes in half a second: its connections do not come back for it together.
    for (const delay of delays) {
      expect(delay).toBeGreaterThanOrEqual(500);
      expect(delay).toBeLessThanOrEqual(1_000);
    }
    expect(new Set(delays).size).toBeGreaterThan(3);
    clock.advance(2_000);
    // Half of its burst is left to each: refusals took nothing of it.
    one.sendAll(pings(4, 10));
    await one.nextAll(4, 'pong');
    clock.advance(2_000);
    two.sendAll(pings(4, 20));
    await two.nextAll(4, 'pong');
  });

  it('abuse is answered with errors, then reading pauses, then the connection closes with 4807 and a temporary ban (G16)', async () => {
    await start({
      limits: { ratePerSecond: 1, burst: 5 },
      abuse: { throttleAfter: 10, closeAfter: 20, windowMs: 60_000, banMs: 30_000 },
    });
    const client = await server.connect('ada');
    client.sendAll(pings(14));
    const answers = await client.nextAll(14);
    expect(answers.map(({ type }) => type)).toEqual([
      ...Array.from({ length: 5 }, () => 'pong'),
      ...Array.from({ length: 9 }, () => 'error'),
    ]);
    // The tenth violation: the server stops reading, so the frame behind it waits.
    client.sendAll(pings(1, 14));
    expect((await client.next('error')).payload).toMatchObject({ code: 'rate_limited' });
    client.sendAll(pings(1, 15));
    const other = await server.connect('bob');
    expect((await other.call({ type: 'ping' })).type).toBe('pong');
    expect(client.pending).toEqual([]);
    clock.advance(1_000);
    expect((await client.next()).ref).toBe('p15');
    client.sendAll(pings(40, 16));
    await until('the server to read again', () => (clock.advance(1_000), client.ended !== undefined));
    expect(client.ended).toEqual({ code: 4807, reason: 'rate_abuse|30000' });

    // The user is banned, on this node, for that long.
    const back = await server.open();
    expect(await back.error({ type: 'hello', payload: { versions: [1], token: 'ada' } })).toMatchObject({
      code: 'banned',
    });
    await back.expectClose(4803);
    clock.advance(31_000);
    expect((await server.connect('ada')).welcome?.user).toBe('ada');
  });

  it('anonymous clients at the address of an anonymous abuser are refused with 4803 until the ban ends, and nobody else (G16, P18a)', async () => {
    await start({
      anonymous: true,
      limits: { ratePerSecond: 1, burst: 5 },
      abuse: { throttleAfter: 100, closeAfter: 10, windowMs: 60_000, banMs: 30_000 },
    });
    const client = await server.connect();
    client.sendAll(pings(20));
    await client.expectClose(4807);
    for (let time = 1; time <= 2; time++) {
      const again = await server.open();
      const refusal = await again.error({ type: 'hello', payload: { versions: [1] } });
      expect(refusal).toMatchObject({ code: 'banned', retryAfterMs: 30_000 });
      expect(await again.expectClose()).toEqual({ code: 4803, reason: 'banned|30000' });
    }
    // Who proves to be somebody may come: by hello, and by the handshake.
    expect((await server.connect('ada')).welcome?.user).toBe('ada');
    const early = await server.open({ protocols: ['realtime.v1.json', 'bearer.bob'] });
    expect((await early.hello()).user).toBe('bob');
    clock.advance(30_000);
    expect((await server.connect()).ended).toBeUndefined();
  });

  it('subscribing one channel too many is refused with too_many_channels; an unsubscribe makes room (G16)', async () => {
    await start({ limits: { maxChannels: 3, ratePerSecond: 1e6, burst: 1e6 } });
    const client = await server.connect('ada');
    expect(client.welcome?.limits.maxChannels).toBe(3);
    const subscribe = (room: number) => ({ type: 'subscribe', id: `s${room}`, channel: `rooms.${room}` });
    // At once, in one frame: those under way count.
    client.sendAll([1, 2, 3, 4].map(subscribe));
    const answers = [];
    for (const room of [1, 2, 3, 4]) answers.push(await client.take({ ref: `s${room}` }));
    expect(answers.map(({ payload }) => payload['code'] ?? payload['recovery'])).toEqual([
      'new',
      'new',
      'new',
      'too_many_channels',
    ]);
    await client.call({ type: 'unsubscribe', channel: 'rooms.1' });
    expect((await client.call(subscribe(4))).type).toBe('reply');
  });

  it('subscribing every channel again at once is not counted as abuse (G16)', async () => {
    await start({ limits: { maxChannels: 100, ratePerSecond: 1, burst: 1 } });
    const client = await server.connect('ada');
    client.sendAll(
      Array.from({ length: 100 }, (_, room) => ({
        type: 'subscribe',
        id: `s${room}`,
        channel: `rooms.${room}`,
      })),
    );
    const answers = await client.nextAll(100);
    expect(answers.every(({ type }) => type === 'reply')).toBe(true);
  });

  it('reading pauses at maxInFlight running commands, and resumes when they finish (G16)', async () => {
    const finish: (() => void)[] = [];
    clock = new ManualClock();
    server = await startWireServer({
      clock,
      requests: new Map([
        ['wait', { authorize: 'public', handle: () => new Promise<void>((resolve) => finish.push(resolve)) }],
      ]),
      settings: { limits: { maxInFlight: 4 } },
    });
    const client = await server.connect('ada');
    for (let index = 0; index < 12; index++) client.send({ type: 'request', id: `r${index}`, event: 'wait' });
    // The chunk that was read already is worked off; what the client sends from now on waits in its socket.
    await until('the bound', () => finish.length >= 4);
    const busy = await server.connect('bob');
    await busy.call({ type: 'ping' });
    const begun = finish.length;
    client.send({ type: 'ping', id: 'waits' });
    await busy.call({ type: 'ping' });
    expect(client.pending.some(({ ref }) => ref === 'waits')).toBe(false);
    expect(finish.length).toBe(begun);
    while (finish.length > 0 || client.received.filter(({ type }) => type === 'reply').length < 12) {
      finish.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await client.take({ ref: 'waits' })).type).toBe('pong');
  });

  it('WebSocket pings count against the rate (G16)', async () => {
    await start({});
    const client = await server.connect('ada');
    let pongs = 0;
    client.socket.on('pong', () => pongs++);
    // A ping counts as 8 frames: 1,056 may come at once, with that of hello. In parts, as ws answers at most 60 at a time.
    for (const wanted of [44, 88, 132]) {
      for (let index = 0; index < 44; index++) client.socket.ping();
      await until('the pongs', () => pongs === wanted);
    }
    client.send({ type: 'ping', id: 'later' });
    await server.rest(await server.connect('bob'));
    expect(client.pending).toEqual([]);
    clock.advance(1_000);
    expect((await client.next()).ref).toBe('later');
  });
});
