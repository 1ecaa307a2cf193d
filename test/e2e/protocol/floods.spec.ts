import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireSettings } from '../../support/wire/server.js';

let server: WireServer;
let clock: ManualClock;
let asked = 0;
afterEach(() => {
  // A socket that is not read any more does not notice that its client is gone; its closing time-out does.
  clock.advance(10_000);
  return server.close();
});

/** A server whose time stands still: a rate is a number then. */
async function start(settings: WireSettings = {}): Promise<void> {
  clock = new ManualClock();
  asked = 0;
  server = await startWireServer({
    clock,
    channels: [wireChannel('rooms.:room', { publish: ['said'] })],
    settings,
    requests: new Map([['count', { authorize: 'public', handle: () => ++asked }]]),
  });
}

/** A masked frame of a client; the mask is zero, which leaves the payload as it is. */
function frame(opcode: number, payload = '', fin = true): Buffer {
  const bytes = Buffer.from(payload);
  if (bytes.length > 125) throw new Error('write a longer header');
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode, 0x80 | bytes.length, 0, 0, 0, 0]), bytes]);
}

const many = (count: number, ...frames: readonly Buffer[]) =>
  Buffer.concat(Array.from({ length: count }, () => frames).flat());

/** Bytes as an attacker writes them, below the client's own framing. */
function write(client: WireClient, bytes: Buffer): void {
  (client.socket as unknown as { readonly _socket: Socket })._socket.write(bytes);
}

const warnings = () => server.records.filter(({ level }) => level === 'warn').map(({ message }) => message);

const FLOODS: readonly (readonly [string, Buffer])[] = [
  ['empty text frames', many(10_000, frame(1))],
  ['empty binary frames', many(10_000, frame(2))],
  ['fragments without a byte', Buffer.concat([frame(1, '', false), many(10_000, frame(0, '', false))])],
  [
    'messages of a thousand empty fragments',
    many(10, frame(1, '', false), many(1_000, frame(0, '', false)), frame(0)),
  ],
  ['pings', many(10_000, frame(9))],
  ['pongs', many(10_000, frame(10))],
  ['frames that are no messages', many(10_000, frame(1, '1'))],
];

describe('a flood of frames (G16)', () => {
  it.each(FLOODS)('%s: the connection ends with 4807 before they are parsed', async (_, flood) => {
    await start();
    const client = await server.connect('ada');
    write(client, flood);
    expect(await client.expectClose()).toMatchObject({ code: 4807 });
    expect(client.pending.length).toBeLessThanOrEqual(1_100);
  });

  it.each(FLOODS)('%s before hello: the connection ends, and nobody is banned', async (_, flood) => {
    await start();
    const client = await server.open();
    write(client, flood);
    const { code } = await client.expectClose();
    // What is no message at all is no client of this protocol, which ends it sooner.
    expect([4805, 4807]).toContain(code);
    expect((await server.connect('ada')).ended).toBeUndefined();
  });

  it('what follows the close frame is not read, and the socket is destroyed a second later', async () => {
    await start();
    const client = await server.connect('ada');
    const { _socket: socket } = client.socket as unknown as { readonly _socket: Socket };
    write(client, many(10_000, frame(1)));
    await client.expectClose(4807);
    expect(server.engine.status.sessions).toBe(0);
    clock.advance(1_000);
    await until('the end of the socket', () => socket.destroyed);
  });

  it('says so in the log once, with the user, and not for each', async () => {
    await start({ abuse: { banMs: 0 } });
    for (let round = 0; round < 3; round++) {
      const client = await server.connect('ada');
      write(client, many(10_000, frame(1)));
      await client.expectClose(4807);
    }
    expect(warnings().filter((line) => line.includes('rate_abuse'))).toEqual([
      'A connection of user "ada" was closed with rate_abuse: it ignored the limits again and again',
    ]);
    clock.advance(10_000);
    const client = await server.connect('ada');
    write(client, many(10_000, frame(1)));
    await client.expectClose(4807);
    expect(warnings().at(-1)).toContain('(2 more of this kind since the last line)');
  });

  it('a client slightly above its frames is read again when they are paid', async () => {
    // 8 frames for each command: 40 a second, and 48 at once.
    await start({ limits: { ratePerSecond: 5, burst: 5, maxChannels: 4 } });
    const client = await server.connect('ada');
    write(
      client,
      Buffer.concat([
        frame(1, '{"type":"ping",', false),
        many(60, frame(0, '', false)),
        frame(0, '"id":"p1"}'),
      ]),
    );
    expect((await client.next()).ref).toBe('p1');
    write(client, frame(1, '{"type":"ping","id":"p2"}'));
    await server.rest(client);
    expect(client.pending).toEqual([]);
    clock.advance(1_000);
    expect((await client.next()).ref).toBe('p2');
  });

  it('a burst of single frames that the commands allow is no flood', async () => {
    await start();
    const client = await server.connect('ada');
    for (let index = 0; index < 100; index++)
      client.send({ type: 'request', id: `r${index}`, event: 'count' });
    await client.nextAll(100, 'reply');
    expect(asked).toBe(100);
  });
});

describe('frames that cost a command (G16)', () => {
  it('an empty frame counts like a command, live and before hello', async () => {
    await start({ limits: { ratePerSecond: 1, burst: 3 } });
    const client = await server.open();
    client.send('');
    await client.hello('ada');
    client.send('');
    client.send(' \n');
    expect((await client.error({ type: 'request', event: 'count' })).code).toBe('rate_limited');
    expect(asked).toBe(0);
    clock.advance(1_000);
    expect((await client.call({ type: 'request', event: 'count' })).type).toBe('reply');
  });

  it('empty frames alone lead to 4807', async () => {
    await start({
      limits: { ratePerSecond: 1, burst: 3 },
      abuse: { throttleAfter: 100, closeAfter: 5, windowMs: 60_000, banMs: 0 },
    });
    const client = await server.connect('ada');
    for (let index = 0; index < 8; index++) client.send('');
    await client.expectClose(4807);
  });

  it('a pong that answers no ping counts like a command; one that does is free', async () => {
    await start({
      limits: { ratePerSecond: 1, burst: 1 },
      heartbeat: { intervalMs: 1_000, timeoutMs: 60_000 },
    });
    const client = await server.connect('ada', { answersPings: false });
    await until('a ping', () => (clock.advance(100), client.pending.length > 0));
    client.send({ type: 'pong', ref: (await client.next('ping')).id });
    client.send({ type: 'pong' });
    expect((await client.error({ type: 'request', event: 'count' })).code).toBe('rate_limited');
  });
});
