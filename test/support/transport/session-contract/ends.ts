import { expect, it } from '@jest/globals';
import { stretched } from '../../patience.js';
import { until } from '../../until.js';
import type { SessionClient } from '../../wire/session-client.js';
import { hello, payloads, say, settled, type Stage } from './stage.js';

/** How access ends, and sessions with it. */
export function describeEnds(stage: Stage): void {
  const { transport, unique, publish } = stage;
  const connect = (token?: string): Promise<SessionClient> => stage.visit.connect(transport, token);
  const advised = (reason: string): number => Number(reason.split('|')[1]);
  const isHttp = transport.name !== 'WebSocket';

  it('is notified when its access is revoked, with nothing of the channel behind it, and keeps the others (G11)', async () => {
    const [closed, room] = [unique('closed.revoked'), unique('rooms.kept')];
    const user = unique('alice');
    const client = await connect(user);
    for (const channel of [closed, room]) await client.subscribe(channel, { presence: false });
    await stage.visit.server.engine.revoke(user, closed);
    await publish(closed, 'secret');
    await publish(room, 'kept');
    expect(await client.next('unsubscribed')).toMatchObject({
      channel: closed,
      payload: { code: 'forbidden', retryable: false },
    });
    expect(await payloads(client, 1)).toEqual(['kept']);
    expect(await settled(client)).toEqual([]);
  });

  it.each([
    ['banned', 4803, 'ban'],
    ['thrown out', 4811, 'disconnect'],
  ] as const)('of a user who is %s ends with %i (G11)', async (_, code, act) => {
    const user = unique(act);
    const client = await connect(user);
    await client.subscribe(unique('rooms.act'));
    await stage.visit.server.engine[act](user);
    await client.expectClose(code);
    if (act === 'disconnect') return;
    const again = await stage.visit.open(transport);
    again.send(hello({ token: user }));
    expect((await again.next('error')).payload).toMatchObject({ code: 'banned', retryable: false });
    await again.expectClose(4803);
  });

  it.each([
    ['a token that does not verify', { token: 'bad' }, 'unauthorized', 4801],
    ['a token that has expired', { token: 'old' }, 'token_expired', 4008],
  ])('is refused for %s with an error and its code (P3e)', async (_, payload, error, code) => {
    const client = await stage.visit.open(transport);
    client.send(hello(payload));
    expect(await client.next('error')).toMatchObject({ ref: 'h1', payload: { code: error } });
    await client.expectClose(code);
    expect(client.pending).toEqual([]);
  });

  it('is refused for a version that the server does not speak with 4804 (P3b)', async () => {
    const client = await stage.visit.open(transport);
    client.send(hello({ versions: [2] }));
    await client.expectClose(4804);
  });

  it('is refused for another first command than hello with 4805 (P3a)', async () => {
    const client = await stage.visit.open(transport);
    client.send({ type: 'ping', id: 'p1' });
    await client.expectClose(4805);
    expect(client.received).toEqual([]);
  });

  it.each([
    ['a credential that does not verify', 401, { headers: { Authorization: 'Bearer bad' } }],
    ['a page of another origin', 403, { headers: { Origin: 'https://evil.example' } }],
  ])('is refused for %s before it begins, with %i (P18, G22)', async (_, status, options) => {
    const reply = await transport.refused(stage.visit.site.placeOf(0), options);
    expect(reply.status).toBe(status);
    expect(JSON.parse(reply.body)).toMatchObject({ statusCode: status });
  });

  it('is refused for now by a full node, which says when to come back (P18, G17)', async () => {
    const extra = await stage.start({ settings: { anonymous: true, limits: { maxConnections: 1 } } });
    await extra.connect(transport, 'ada');
    const reply = await transport.refused(extra.site.placeOf(0));
    expect(reply.status).toBe(503);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    expect(JSON.parse(reply.body)).toMatchObject({ statusCode: 503, retryAfterMs: expect.any(Number) });
  });

  it('is refused for now where its address has too many, and gets in when one has left (P18, G17)', async () => {
    const limits = { maxConnectionsPerAddress: 1 };
    const extra = await stage.start({ settings: { anonymous: true, limits } });
    const first = await extra.connect(transport, 'ada');
    const reply = await transport.refused(extra.site.placeOf(0));
    expect(reply.status).toBe(429);
    first.send({ type: 'bye', id: 'z' });
    await first.expectClose(1000);
    await until('the place to be free', () => extra.server.engine.status.sessions === 0);
    await extra.connect(transport, 'bob');
  });

  it('is drained: bye says when to come back, what was published before still comes, and newcomers are refused (G18)', async () => {
    const extra = await stage.start({ settings: { anonymous: true, drainSpreadMs: 3_000 } });
    const client = await extra.connect(transport, 'ada');
    await client.subscribe('rooms.drained', { presence: false });
    const { engine } = extra.server;
    await Promise.all([engine.application.publish('rooms.drained', 'said', 1), engine.drain(stretched(500))]);
    const { code } = await client.expectClose();
    expect(code).toBe(4001);
    const bye = await client.take({ type: 'bye' });
    expect(bye.payload).toMatchObject({ code: 4001, spreadMs: 250 });
    expect((await client.take({ type: 'event' })).payload).toBe(1);
    expect((await transport.refused(extra.site.placeOf(0))).status).toBe(503);
  });

  it('ends with 4004 where the client gives no sign of life, and not before (P8)', async () => {
    const heartbeat = { intervalMs: stretched(150), timeoutMs: stretched(1_000) };
    const extra = await stage.start({ settings: { anonymous: true, heartbeat } });
    const open = (answersPings: boolean) => extra.open(transport, { answersPings });
    const [living, dead] = [await open(true), await open(false)];
    for (const client of [living, dead]) await client.hello('ada');
    if (transport.name === 'long-poll') dead.stopReading();
    await until('one of them to end', () => extra.server.engine.status.sessions === 1);
    dead.goOnReading();
    await dead.expectClose(4004);
    expect((await living.call({ type: 'ping' })).type).toBe('pong');
  });

  it('is asked for a new token, continues with it, and ends with 4008 without one (G12)', async () => {
    // The server looks every quarter of a second.
    const life = Math.max(2_000, stretched(400));
    const [fresh, late] = [
      await connect(`${unique('ada')}+${life}`),
      await connect(`${unique('bob')}+${life}`),
    ];
    expect(fresh.welcome?.tokenExpiresInMs).toBeGreaterThan(0);
    const user = fresh.welcome?.user as string;
    expect((await fresh.error({ type: 'auth', payload: { token: 'bad' } })).code).toBe('unauthorized');
    expect((await fresh.error({ type: 'auth', payload: { token: 'eve' } })).code).toBe('forbidden');
    for (const client of [fresh, late])
      expect((await client.next('auth_required')).payload['withinMs']).toBeGreaterThan(0);
    expect(await fresh.reply({ type: 'auth', payload: { token: user } })).toEqual({});
    await late.expectClose(4008);
    expect((await fresh.call({ type: 'ping' })).type).toBe('pong');
  });

  it('ends with 4806 for an envelope above the limit, and runs nothing of its frame (P4)', async () => {
    const room = unique('rooms.large');
    const client = await connect('ada');
    client.sendAll([say(room, 'm1'), say(room, 'm2', 'x'.repeat(70_000))]);
    await client.expectClose(4806);
    expect((await stage.visit.server.engine.application.history(room)).events).toEqual([]);
  });

  it('ends for a frame above the limit (P4)', async () => {
    const client = await connect('ada');
    client.send(say(unique('rooms.larger'), 'm1', 'x'.repeat(300_000)));
    expect((await client.expectClose()).code).toBe(4806);
  });

  it('ends with 4805 for what is no protocol (P6c)', async () => {
    const client = await connect('ada');
    client.send(isHttp ? '[{"type":"ping","id":"p1"},{]' : '{"type":"ping","id":"p1"}\n{');
    await client.expectClose(4805);
    expect(client.pending).toEqual([]);
  });

  it('is refused commands above the rate, and ends with 4807 where it ignores that (G16)', async () => {
    const extra = await stage.start({
      settings: {
        anonymous: true,
        limits: { ratePerSecond: 1, burst: 5 },
        abuse: { throttleAfter: 1_000, closeAfter: 40 },
      },
    });
    const client = await extra.connect(transport, 'ada');
    const ping = (index: number) => ({ type: 'ping', id: `p${index}` });
    client.sendAll(Array.from({ length: 20 }, (_, index) => ping(index)));
    const refused = await client.take({ type: 'error' });
    expect(refused.payload).toMatchObject({ code: 'rate_limited', retryable: true });
    expect(refused.payload['retryAfterMs']).toBeGreaterThan(0);
    client.sendAll(Array.from({ length: 60 }, (_, index) => ping(100 + index)));
    const { reason } = await client.expectClose(4807);
    expect(advised(reason)).toBeGreaterThan(0);
  });

  it('ends when its client goes away, and what it held with it (P28)', async () => {
    const heartbeat = { intervalMs: stretched(200), timeoutMs: stretched(1_000) };
    const extra = await stage.start({ settings: { anonymous: true, heartbeat } });
    const client = await extra.connect(transport, 'ada');
    await client.subscribe('rooms.gone');
    const watcher = await extra.connect(transport, 'eve');
    await watcher.subscribe('rooms.gone');
    client.terminate();
    await until('the session to end', () => extra.server.engine.status.sessions === 1);
    expect((await watcher.next('presence')).payload).toMatchObject({ leave: ['ada'] });
  });
}
