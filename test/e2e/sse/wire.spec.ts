import { afterEach, describe, expect, it } from '@jest/globals';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { connect, type AddressInfo } from 'node:net';
import { ENGINE_DEFAULTS } from '../../../lib/core/ports/settings-defaults.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';
import { stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { EventReader, type EventReaderOptions } from '../../support/wire/event-reader.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

let server: WireServer;
const readers: EventReader[] = [];

async function start(options: WireServerOptions = {}): Promise<void> {
  server = await startWireServer({
    channels: [
      wireChannel('rooms.:room', { signals: ['typing'] }),
      wireChannel('newest.:name', { policy: { overflow: 'conflate' } }),
      wireChannel('oldest.:name', { policy: { overflow: 'drop-oldest' } }),
    ],
    ...options,
    settings: { anonymous: true, ...options.settings },
  });
}

async function open(channels: string, options?: EventReaderOptions): Promise<EventReader> {
  const reader = await EventReader.open(`${server.httpUrl}/sse?channels=${channels}`, options);
  readers.push(reader);
  return reader;
}

const publish = (channel: string, payload: unknown, key?: string) =>
  server.engine.application.publish(channel, 'said', payload, key === undefined ? {} : { key });

/** Bytes of a stream as they come, until the condition holds. */
function raw(request: string, isEnough: (text: string) => boolean): Promise<string> {
  const socket = connect(Number(new URL(server.httpUrl).port), '127.0.0.1');
  socket.setEncoding('latin1');
  socket.write(request);
  return new Promise((resolve, reject) => {
    let text = '';
    const done = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (isEnough(text)) done();
    });
    socket.on('end', done);
    socket.on('error', reject);
  });
}

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close();
  await server.close();
});

/** The seq of a channel in an id; an epoch may hold dots. */
const placeIn = (id: string, index: number): number => Number(id.split('~')[index + 1]?.split('.').at(-1));

/** The seq of each event of a channel that came. */
const seqsOf = (reader: EventReader, channel: string): (number | undefined)[] =>
  reader.received.filter((one) => one.type === 'event' && one.channel === channel).map(({ seq }) => seq);

describe('the bytes of a plain stream', () => {
  it('are chunks towards HTTP/1.1, of which each event is one, and end as HTTP says (P20)', async () => {
    await start();
    const ask = 'GET /realtime/sse?channels=rooms.1 HTTP/1.1\r\nHost: a\r\n\r\n';
    let seen = '';
    const text = raw(ask, (all) => (seen = all) === '');
    await until('the outcome', () => seen.includes('subscribed'));
    await publish('rooms.1', 'é');
    await server.engine.drain(1_000);
    const [head = '', ...rest] = (await text).split('\r\n\r\n');
    expect(head.toLowerCase()).toContain('transfer-encoding: chunked');
    expect(head.toLowerCase()).toContain('connection: close');
    let body = rest.join('\r\n\r\n');
    const chunks: string[] = [];
    for (;;) {
      const end = body.indexOf('\r\n');
      const size = Number.parseInt(body.slice(0, end), 16);
      chunks.push(body.slice(end + 2, end + 2 + size));
      expect(body.slice(end + 2 + size, end + 4 + size)).toBe('\r\n');
      body = body.slice(end + 4 + size);
      if (size === 0) break;
    }
    expect(body).toBe('');
    expect(chunks.filter((chunk) => chunk.includes('"type":"event"'))).toHaveLength(1);
    expect(chunks.every((chunk) => chunk === '' || chunk.endsWith('\n\n'))).toBe(true);
  });

  it('are not chunked towards HTTP/1.0, as nginx asks for them (P20)', async () => {
    await start();
    const ask = 'GET /realtime/sse?channels=rooms.1 HTTP/1.0\r\n\r\n';
    let seen = '';
    const text = raw(ask, (all) => (seen = all).includes('"payload":1'));
    await until('the outcome', () => seen.includes('subscribed'));
    await publish('rooms.1', 1);
    const [head = '', body = ''] = (await text).split('\r\n\r\n');
    expect(head.toLowerCase()).not.toContain('transfer-encoding');
    expect(body).toMatch(
      /^retry: \d+\n\nid: [^\n]+\ndata: \{"type":"subscribed".*\n\nid: [^\n]+\ndata: \{"type":"event"/,
    );
  });

  it('are the frames of HTTP/2 where the server itself speaks it', async () => {
    await start();
    const http2 = createHttp2Server();
    server.sse.attach(http2 as never);
    await new Promise<void>((resolve) => http2.listen(0, '127.0.0.1', resolve));
    const client = connectHttp2(`http://127.0.0.1:${(http2.address() as AddressInfo).port}`);
    const texts = ['rooms.1', 'rooms.1,rooms.2'].map((channels) => {
      const stream = client.request({ ':path': `/realtime/sse?channels=${channels}` });
      stream.setEncoding('utf8');
      const all = { text: '' };
      stream.on('data', (text: string) => (all.text += text));
      return all;
    });
    await until('both streams', () => texts.every(({ text }) => text.includes('subscribed')));
    await publish('rooms.1', 'shared');
    await until('the event', () => texts.every(({ text }) => text.includes('"payload":"shared"')));
    expect(texts.every(({ text }) => text.startsWith('retry: '))).toBe(true);
    client.destroy();
    await until('their end', () => server.engine.status.sessions === 0);
    http2.close();
  });

  it('are shared by all streams of a shape: an event is written once for each of them (G24)', async () => {
    await start();
    const shapes = ['rooms.1', 'rooms.1', 'rooms.1&events=1', 'rooms.1,rooms.2', 'rooms.1,rooms.3'];
    const all = await Promise.all(shapes.map((channels) => open(channels)));
    for (const reader of all) await reader.next('subscribed');
    let reads = 0;
    const payload = { toJSON: () => ++reads };
    await publish('rooms.1', payload);
    for (const reader of all) expect(await reader.payload()).toBe(1);
  });
});

describe('a client that never reads', () => {
  it('is ended when its socket took nothing in a whole interval, and gets no comments that would be kept for it', async () => {
    await start({ sse: { heartbeatMs: stretched(200) } });
    const deaf = await open('oldest.1');
    const reads = await open('oldest.1');
    await Promise.all([deaf.next('subscribed'), reads.next('subscribed')]);
    deaf.response.pause();
    const text = 'x'.repeat(500_000);
    // More than the buffers of a socket hold.
    for (let index = 0; index < 40; index++) await publish('oldest.1', text);
    await until('the deaf one to be ended', () => server.engine.status.sessions === 1);
    await publish('oldest.1', 'last');
    await until('the last event at the other one', () =>
      reads.received.some(({ payload }) => (payload as unknown) === 'last'),
    );
  });
});

describe('what is pipelined', () => {
  it('behind a stream ends the connection, unseen', async () => {
    await start();
    const ask = 'GET /realtime/sse?channels=rooms.1 HTTP/1.1\r\nHost: a\r\n\r\n';
    await raw(ask + ask, () => false).catch(() => undefined);
    await until('the end of the session', () => server.engine.status.sessions === 0);
  });

  it.each(['2.0', '0.9'])(
    'whatever version its request line claims (HTTP/%s), nothing is left of it',
    async (version) => {
      await start();
      const ask = `GET /realtime/sse?channels=rooms.1 HTTP/${version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n`;
      const { port } = new URL(server.httpUrl);
      const socket = connect(Number(port), '127.0.0.1');
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.on('error', () => undefined).resume();
      socket.write(ask.repeat(20));
      await closed;
      await until('the sessions to end', () => server.engine.status.sessions === 0);
    },
  );

  it('a stream behind a request that has no answer yet is refused for now', async () => {
    await start();
    const probe = 'GET /realtime HTTP/1.1\r\nHost: a\r\n\r\n';
    const stream = 'GET /realtime/sse?channels=rooms.1 HTTP/1.1\r\nHost: a\r\n\r\n';
    const text = await raw(probe + stream, () => false);
    expect(text).toContain('426');
    expect(text).toContain('One request after another');
    expect(server.engine.status.sessions).toBe(0);
  });
});

describe('the ids of a stream of several channels', () => {
  it('claim only what precedes them, and a reconnect from any of them loses nothing, however slowly it is read (P20)', async () => {
    await start({ settings: { outbox: { ...ENGINE_DEFAULTS.outbox, maxBytes: 8 * 1024 * 1024 } } });
    const random = new SeededEntropy(7);
    const channels = ['newest.c', 'rooms.a', 'rooms.b'];
    const reader = await open(channels.join());
    await reader.until('three outcomes', ({ received }) => received.length === 3);
    for (let round = 0; round < 40; round++) {
      if (round % 8 === 2) reader.response.pause();
      if (round % 8 === 6) reader.response.resume();
      const size = random.random() < 0.2 ? 200_000 : 200;
      const burst = Math.ceil(random.random() * 4);
      await Promise.all(
        Array.from({ length: burst }, () =>
          publish(channels[Math.floor(random.random() * 3)] as string, 'x'.repeat(size)),
        ),
      );
    }
    reader.response.resume();
    const tips = new Map<string, number>();
    for (const channel of channels)
      tips.set(channel, (await server.engine.application.history(channel, { limit: 1 })).position.seq);
    const isAtTip = (id: string): boolean =>
      channels.every(
        (channel, index) => id.split('~')[index + 1]?.endsWith(`.${tips.get(channel)}`) === true,
      );
    await reader.until('an id at the end', ({ lastEventId }) => isAtTip(lastEventId));

    const seen = new Map(channels.map((channel) => [channel, 0]));
    const ids = new Set<string>();
    for (const { id, data } of reader.blocks) {
      // An id in a block with data counts with that block, and claims what precedes it.
      if (id !== undefined) {
        ids.add(id);
        for (const [index, channel] of channels.entries()) {
          const claimed = placeIn(id, index);
          expect(claimed).toBeLessThanOrEqual(seen.get(channel) ?? 0);
        }
      }
      const {
        type,
        channel = '',
        seq = 0,
      } = JSON.parse(data ?? '{}') as { type?: string; channel?: string; seq?: number };
      if (type === 'event') {
        expect(seq).toBe((seen.get(channel) ?? 0) + 1);
        seen.set(channel, seq);
      }
    }
    expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(tips));
    expect(ids.size).toBeGreaterThan(5);
    const middle = [...ids][Math.floor(ids.size / 2)] as string;
    const again = await open(channels.join(), { headers: { 'Last-Event-ID': middle } });
    await again.until(
      'the replays',
      ({ received }) => received.filter(({ type }) => type === 'resumed').length === 3,
    );
    for (const [index, channel] of channels.entries()) {
      const from = placeIn(middle, index);
      const missing = Array.from(
        { length: (tips.get(channel) ?? 0) - from },
        (_, offset) => from + offset + 1,
      );
      expect(seqsOf(again, channel)).toEqual(missing);
    }
  });

  it('do not claim an answer that still waits behind what the client does not read', async () => {
    await start({ settings: { outbox: { ...ENGINE_DEFAULTS.outbox, maxBytes: 8 * 1024 * 1024 } } });
    const reader = await open('rooms.a,rooms.b');
    await reader.until('both outcomes', ({ received }) => received.length === 2);
    const [digest] = reader.lastEventId.split('~');
    expect(reader.blocks.map(({ id }) => id?.split('~').length ?? 3)).toEqual([3, 3, 3]);
    const first = reader.blocks[1]?.id ?? '';
    expect(first).toMatch(new RegExp(`^${digest}~[^~]+\\.0~$`));
  });

  it('come again with the next event, for parsers that pass over a block without data', async () => {
    await start();
    const reader = await open('rooms.a,rooms.b');
    await reader.until('both outcomes', ({ received }) => received.length === 2);
    await publish('rooms.a', 1);
    await reader.until('an id alone', ({ blocks }) =>
      blocks.some(({ id, data }) => id !== undefined && data === undefined),
    );
    const { lastEventId } = reader;
    await publish('rooms.b', 2);
    await reader.until(
      'two events',
      ({ received }) => received.filter(({ type }) => type === 'event').length === 2,
    );
    const last = reader.blocks.find(({ data }) => data?.includes('"channel":"rooms.b","event"'));
    expect(last?.id).toBe(lastEventId);
  });
});

describe('a client that reads slowly', () => {
  it.each([
    ['newest.1', 'conflated'],
    ['oldest.1', 'overflow'],
  ])('of %s is notified of what it missed, as on a WebSocket (P25)', async (channel, reason) => {
    await start({ settings: { outbox: { ...ENGINE_DEFAULTS.outbox, maxBytes: 256 * 1024 } } });
    const reader = await open(channel);
    await reader.next('subscribed');
    reader.response.pause();
    for (let round = 0; round < 1_500; round++) await publish(channel, 'x'.repeat(16 * 1024), 'key');
    reader.response.resume();
    const gap = await reader.next('gap');
    expect(gap.payload).toMatchObject({ reason });
    // Events of a thinned range still follow; a range that is missing is behind the client.
    const block = reader.blocks.find(({ data }) => data?.includes('"type":"gap"'));
    expect(block?.id === undefined).toBe(reason === 'conflated');
    await reader.until('the newest', (all) => seqsOf(all, channel).at(-1) === 1_500);
  });
});

describe('what the server asks for in the name of a client', () => {
  it('never becomes abuse: many streams with many channels wait for their rate, and all get their outcomes (G16)', async () => {
    await start({
      settings: {
        limits: { maxChannels: 4, ratePerSecond: 20, burst: 4, userRatePerSecond: 40 },
        abuse: { closeAfter: 4 },
      },
    });
    const streams = await Promise.all(
      Array.from({ length: 4 }, (_, stream) =>
        open(Array.from({ length: 4 }, (__, room) => `rooms.${stream}-${room}`).join(), {
          headers: { Authorization: 'Bearer alice' },
        }),
      ),
    );
    for (const reader of streams)
      await reader.until(
        'four outcomes',
        ({ received }) => received.filter(({ type }) => type === 'subscribed').length === 4,
      );
    expect(server.engine.status.sessions).toBe(4);
  });
});

describe('a preflight', () => {
  it('is answered for the token and the last id, without asking anybody (P20)', async () => {
    await start({ transport: { allowedOrigins: 'https://app.example.com' } });
    const headers = { Origin: 'https://app.example.com', 'Access-Control-Request-Headers': 'authorization' };
    const allowed = await open('rooms.1', { method: 'OPTIONS', headers });
    expect(allowed.status).toBe(204);
    expect(allowed.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example.com',
      'access-control-allow-credentials': 'true',
      'access-control-allow-headers': 'Authorization, Last-Event-ID',
      'access-control-max-age': '600',
    });
    const foreign = await open('rooms.1', {
      method: 'OPTIONS',
      headers: { Origin: 'https://evil.example.com' },
    });
    expect(foreign.headers).not.toHaveProperty('access-control-allow-origin');
  });
});

describe('the rule of an application about origins', () => {
  it.each([
    [true, 200],
    [false, 403],
  ])('is asked once for a stream, and its answer holds for all of it (%s)', async (isAllowed, status) => {
    const asked: string[] = [];
    const allowedOrigins = (origin: string): boolean => {
      asked.push(origin);
      // It changes its mind.
      return asked.length === 1 ? isAllowed : !isAllowed;
    };
    await start({ transport: { allowedOrigins } });
    const origin = 'https://app.example.com';
    const reader = await open('rooms.1', { headers: { Origin: origin } });
    expect(reader.status).toBe(status);
    if (isAllowed) await reader.next('subscribed');
    expect(asked).toEqual([origin]);
    const allowed = isAllowed ? origin : undefined;
    expect(reader.headers['access-control-allow-origin']).toBe(allowed);
  });
});
