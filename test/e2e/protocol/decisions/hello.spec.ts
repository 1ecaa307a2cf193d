import { afterEach, describe, expect, it } from '@jest/globals';
import { encode } from '@msgpack/msgpack';
import { WireClient } from '../../../support/wire/client.js';
import { server, start, stop } from './setting.js';

afterEach(stop);

describe('negotiation', () => {
  it('the first known subprotocol is echoed, and JSON is spoken when none is offered (P1, P1a)', async () => {
    await start();
    const choosy = await server.open({
      protocols: ['realtime.v9.cbor', 'realtime.v1.msgpack', 'realtime.v1.json'],
    });
    expect(choosy.protocol).toBe('realtime.v1.msgpack');
    const silent = await server.connect('alice', { protocols: [] });
    expect(silent.protocol).toBe('');
    expect(silent.welcome?.user).toBe('alice');
  });

  it('unknown subprotocols, credentials alone and malformed headers are refused with 400 (P1b, P2, P2b)', async () => {
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

  it('frames of the other kind, and frames that cannot be parsed, close with 4805 (P1c, P6c)', async () => {
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

  it('a token with the upgrade is verified before the upgrade is answered (P2a, P18)', async () => {
    await start();
    const refusal = await WireClient.refused(server.url, { protocols: ['realtime.v1.json', 'bearer.bad'] });
    expect(refusal.status).toBe(401);
    expect(refusal.headers['www-authenticate']).toBe('Bearer');
    const client = await server.connect(undefined, { protocols: ['realtime.v1.json', 'bearer.alice'] });
    expect(client.protocol).toBe('realtime.v1.json');
    expect(client.welcome?.user).toBe('alice');
  });

  it('the probe is answered as an upgrade of the same client would be (P18)', async () => {
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
    expect([busy.status, busy.headers.get('retry-after')]).toEqual([503, '1']);
    expect((await WireClient.refused(server.url)).status).toBe(503);
  });
});

describe('hello', () => {
  it.each([
    ['another command', { type: 'ping', id: 'k1' }],
    ['a malformed hello', { type: 'hello', id: 'h1', payload: {} }],
    ['a hello without an id', { type: 'hello', payload: { versions: [1] } }],
  ])('%s as the first message closes with 4805, and is not answered (P3a)', async (_, envelope) => {
    await start();
    const client = await server.open();
    client.send(envelope);
    await client.expectClose(4805);
    expect(client.received).toEqual([]);
  });

  it('no hello in time closes with 4805 (P3a)', async () => {
    await start({ settings: { helloTimeoutMs: 40 } });
    await (await server.open()).expectClose(4805);
  });

  it('no common protocol revision closes with 4804 (P3b)', async () => {
    await start();
    const client = await server.open();
    client.send({ type: 'hello', id: 'h1', payload: { versions: [2, 3], token: 'alice' } });
    expect(await client.expectClose(4804)).toMatchObject({ reason: 'unsupported_version|0' });
  });

  it('commands sent after hello wait and run in order; too many of them close with 4805 (P3, P3c)', async () => {
    let admit = (): void => undefined;
    await start({
      onConnect: () => new Promise<void>((resolve) => (admit = resolve)),
      settings: { limits: { maxEnvelopesPerFrame: 4 } },
    });
    const client = await server.open();
    const hello = { type: 'hello', id: 'h1', payload: { versions: [1], token: 'alice' } };
    client.sendAll([hello, { type: 'subscribe', id: 's1', channel: 'rooms.1' }]);
    client.send({ type: 'publish', id: 'p1', channel: 'rooms.1', event: 'said' });
    await server.rest(client);
    expect(client.received).toEqual([]);
    admit();
    expect((await client.next()).ref).toBe('h1');
    await client.take({ type: 'reply', ref: 's1' });
    await client.take({ type: 'reply', ref: 'p1' });

    const eager = await server.open();
    eager.sendAll([hello, { type: 'ping', id: 'k1' }]);
    eager.sendAll([2, 3, 4, 5].map((n) => ({ type: 'ping', id: `k${n}` })));
    await server.rest(await server.open());
    admit();
    await eager.expectClose(4805);
  });

  it.each([
    ['unauthorized', undefined, 4801],
    ['unauthorized', 'bad', 4801],
    ['token_expired', 'old', 4008],
  ])(
    'a refused hello is answered with %s, then the connection closes (%s → %i) (P3e)',
    async (code, token, close) => {
      await start();
      const client = await server.open();
      client.send({
        type: 'hello',
        id: 'h1',
        payload: { versions: [1], ...(token === undefined ? {} : { token }) },
      });
      expect(await client.next('error')).toMatchObject({ ref: 'h1', payload: { code } });
      await client.expectClose(close);
    },
  );

  it('bans and refusals of the application are sent in answer to hello (P3e, P18a)', async () => {
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

  it('a token in hello must have the user of the upgrade’s token; a second hello is bad_request (P3f, P3g)', async () => {
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
