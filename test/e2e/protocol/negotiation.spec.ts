import { afterEach, describe, expect, it } from '@jest/globals';
import { encode } from '@msgpack/msgpack';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

const JSON_V1 = 'realtime.v1.json';
const MSGPACK_V1 = 'realtime.v1.msgpack';
const ROOMS = wireChannel('rooms.:room', { publish: ['said'] });

let server: WireServer;
afterEach(() => server.close());

async function start(options: WireServerOptions = {}): Promise<WireServer> {
  server = await startWireServer({ channels: [ROOMS], ...options });
  return server;
}

const refused = (protocols: readonly string[]) => WireClient.refused(server.url, { protocols });

describe('subprotocols (P1)', () => {
  it.each([
    { offer: [JSON_V1], echo: JSON_V1 },
    { offer: [MSGPACK_V1], echo: MSGPACK_V1 },
    { offer: [MSGPACK_V1, JSON_V1], echo: MSGPACK_V1 },
    { offer: [JSON_V1, MSGPACK_V1], echo: JSON_V1 },
    { offer: ['realtime.v1.protobuf', 'soap', MSGPACK_V1], echo: MSGPACK_V1 },
  ])('of the offer $offer the first known subprotocol is echoed and spoken (P1)', async ({ offer, echo }) => {
    await start();
    const client = await server.open({ protocols: offer });
    expect(client.protocol).toBe(echo);
    await client.hello('ada');
    expect((await client.call({ type: 'ping' })).type).toBe('pong');
  });

  it('a client that offers no subprotocol speaks JSON, and nothing is echoed (P1a)', async () => {
    await start();
    const client = await server.open({ protocols: [] });
    expect(client.protocol).toBe('');
    expect((await client.hello('ada')).version).toBe(1);
  });

  it.each([[['soap']], [['realtime.v1.protobuf']], [['realtime.v2.json', 'REALTIME.V1.JSON']]])(
    'the unknown offer %j is refused with 400, which lists the supported subprotocols (P1b)',
    async (offer) => {
      await start();
      const refusal = await refused(offer);
      expect(refusal.status).toBe(400);
      expect(refusal.body).toContain(`${JSON_V1}, ${MSGPACK_V1}`);
    },
  );

  it.each([
    { protocol: JSON_V1, frame: Buffer.from('{"type":"ping","id":"p1"}'), kind: 'a binary frame' },
    { protocol: MSGPACK_V1, frame: '{"type":"ping","id":"p1"}', kind: 'a text frame' },
  ])('$kind on a connection of $protocol closes with 4805 (P1c)', async ({ protocol, frame }) => {
    await start();
    const client = await server.connect('ada', { protocols: [protocol] });
    client.send(frame);
    await client.expectClose(4805);
  });
});

describe('credentials beside the subprotocol (P2)', () => {
  it('a bearer subprotocol carries the token and is not echoed; hello then needs no token (P2, G23)', async () => {
    await start();
    const client = await server.open({ protocols: [JSON_V1, 'bearer.ada'] });
    expect(client.protocol).toBe(JSON_V1);
    expect((await client.hello()).user).toBe('ada');
  });

  it('credentials may stand anywhere in the offer, and are never chosen as the subprotocol (P2)', async () => {
    await start();
    const client = await server.open({ protocols: ['bearer.ada', 'resume.whatever', MSGPACK_V1] });
    expect(client.protocol).toBe(MSGPACK_V1);
    expect((await client.hello()).user).toBe('ada');
  });

  it.each([[['bearer.ada']], [['resume.t1']], [['bearer.ada', 'resume.t1']]])(
    'an offer of %j alone is refused with 400 (P2)',
    async (offer) => {
      await start();
      expect((await refused(offer)).status).toBe(400);
    },
  );

  it('a bad token beside the subprotocol is refused with 401 before the upgrade (P2a)', async () => {
    await start();
    expect((await refused([JSON_V1, 'bearer.bad'])).status).toBe(401);
    expect(server.engine.status.sessions).toBe(0);
  });

  it('two tokens or two tickets are refused with 400 (P2b)', async () => {
    await start();
    expect((await refused([JSON_V1, 'bearer.ada', 'bearer.bob'])).status).toBe(400);
    expect((await refused([JSON_V1, 'resume.a', 'resume.b'])).status).toBe(400);
  });
});

describe('features (P22)', () => {
  it('only features that both sides name are used: this server names none (P22)', async () => {
    await start();
    const client = await server.open();
    const { features } = await client.hello('ada', { features: ['delta', 'alias', 'ack', 'x'.repeat(64)] });
    expect(features).toEqual([]);
  });

  it.each(['subscribed', 'ack', 'welcome', 'event', 'reply', 'constructor', '__proto__', ''])(
    'the type %j is refused as a client command (P22, P6b)',
    async (type) => {
      await start();
      const client = await server.connect('ada');
      expect((await client.error({ type, id: 'x1' })).code).toBe('bad_request');
    },
  );

  it('reserved top-level fields are ignored, and are not forwarded (P22, P6a)', async () => {
    await start();
    const client = await server.connect('ada');
    await client.subscribe('rooms.1');
    const reserved = {
      alias: 1,
      delta: [],
      base: {},
      pv: 'x',
      enc: null,
      tags: 5,
      seq: 99,
      epoch: 'mine',
      user: 'eve',
    };
    await client.reply({ type: 'publish', channel: 'rooms.1', event: 'said', payload: 'hi', ...reserved });
    const event = await client.take({ type: 'event' });
    expect(Object.keys(event).sort()).toEqual(
      ['channel', 'epoch', 'event', 'id', 'payload', 'seq', 'ts', 'type', 'user'].sort(),
    );
    expect(event).toMatchObject({ seq: 1, user: 'ada', payload: 'hi' });
  });

  it.each([JSON_V1, MSGPACK_V1])('subscribers over %s receive identical bytes (P22)', async (protocol) => {
    await start();
    const frames: Buffer[][] = [];
    for (const name of ['ada', 'bob', 'eve']) {
      const client = await server.connect(name, { protocols: [protocol] });
      await client.subscribe('rooms.1');
      const own: Buffer[] = [];
      frames.push(own);
      client.socket.on('message', (data) => own.push(data as Buffer));
    }
    await Promise.all(
      [1, 2, 3].map((payload) => server.engine.application.publish('rooms.1', 'said', payload)),
    );
    await until('the frames', () => frames.every((own) => own.length > 0));
    expect(frames[1]).toEqual(frames[0]);
    expect(frames[2]).toEqual(frames[0]);
    const whole = Buffer.concat(frames[0] as Buffer[]);
    const last = protocol === JSON_V1 ? '"payload":3' : Buffer.from(encode({ payload: 3 })).subarray(1);
    expect(whole.includes(last)).toBe(true);
  });
});
