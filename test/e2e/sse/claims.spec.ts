import { afterEach, describe, expect, it } from '@jest/globals';
import { connect, type Socket } from 'node:net';
import type { Connection } from '../../../lib/core/ports/connection.js';
import type { Opening, TransportHost } from '../../../lib/core/ports/transport-host.js';
import type { Session } from '../../../lib/core/session/session.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { EventReader } from '../../support/wire/event-reader.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

const LARGE = 'x'.repeat(30_000);

let server: WireServer;
let socket: Socket | undefined;
let text = '';
let session: Session;
/** What is refused for a time. */
const closed = new Set<string>();

const later = (): never => {
  throw new RealtimeError('unavailable', 'Later', { retryAfterMs: 1 });
};
const publish = (channel: string, payload: unknown) =>
  server.engine.application.publish(channel, 'said', payload);

async function start(): Promise<void> {
  server = await startWireServer({
    channels: [
      wireChannel('brief.:x', {
        log: { size: 3 },
        behaviour: { authorize: { subscribe: () => (closed.has('brief.1') ? later() : { forMs: 300 }) } },
      }),
      wireChannel('late.:x', {
        behaviour: { authorize: { subscribe: () => (closed.has('late.1') ? later() : true) } },
      }),
      wireChannel('open.:x'),
    ],
    settings: { anonymous: true, retry: { baseMs: 10, firstSpreadMs: 10 } },
  });
  const transport = server.sse as unknown as { host: TransportHost };
  const { host } = transport;
  const open = (connection: Connection, opening: Opening) =>
    (session = host.open(connection, opening) as Session);
  transport.host = Object.assign(Object.create(host) as TransportHost, { open });
}

/** Opens a stream of which `open.1` is the first channel that answers, and reads nothing more of it. */
async function openUnread(channels: string, lastEventId: string): Promise<Socket> {
  text = '';
  const client = connect(Number(new URL(server.httpUrl).port), '127.0.0.1');
  socket = client.setEncoding('latin1').on('data', (part: string) => (text += part));
  const head = `GET /realtime/sse?channels=${channels} HTTP/1.1\r\nHost: a\r\nLast-Event-ID: ${lastEventId}\r\n\r\n`;
  client.write(head);
  await until('the open channel', () => text.includes('"channel":"open.1"'));
  client.pause();
  await until('a full socket', async () => {
    await publish('open.1', LARGE);
    return session.outbox.isBlocked;
  });
  return client;
}

afterEach(async () => {
  closed.clear();
  socket?.destroy();
  await server.close();
});

describe('an id of several channels', () => {
  it('does not claim an answer that is set aside while the one behind it is written (P20, G11)', async () => {
    await start();
    const channels = 'brief.1,late.1,open.1';
    const url = `${server.httpUrl}/sse?channels=${channels}`;
    const first = await EventReader.open(url);
    await first.until('three outcomes', ({ received }) => received.length === 3);
    const had = first.lastEventId;
    first.close();
    for (let round = 1; round <= 10; round++) await publish('brief.1', round);
    closed.add('brief.1').add('late.1');
    const client = await openUnread(channels, had);
    closed.delete('brief.1');
    await until('the answer of the brief one', () => session.channels.get('brief.1') !== undefined);
    const brief = session.channels.get('brief.1');
    closed.delete('late.1');
    await until('the answer of the late one', () => session.channels.get('late.1') !== undefined);
    closed.add('brief.1');
    await until('the end of its lease', () => brief?.isWithheld === true);
    client.resume();
    const answer = '"type":"subscribed","channel":"late.1"';
    await until('the late one', () => text.includes(answer));
    const before = text.slice(0, text.indexOf(answer));
    expect(before).not.toContain('"channel":"brief.1"');
    const id = [...before.matchAll(/id: (\S+)/g)].at(-1)?.[1] as string;
    client.destroy();
    closed.clear();
    const again = await EventReader.open(url, { headers: { 'Last-Event-ID': id } });
    await again.until('the brief one', ({ types }) => types.includes('subscribed brief.1'));
    const { payload } = again.received.find(({ channel }) => channel === 'brief.1') ?? {};
    expect(payload).toMatchObject({ recovery: 'truncated', from: 8, to: 10 });
    again.close();
  });

  it('stands in each outcome, so that a client that is cut behind it continues, however it reads ids (P20)', async () => {
    await start();
    const reader = await EventReader.open(`${server.httpUrl}/sse?channels=late.1,open.1`);
    await reader.until('both outcomes', ({ received }) => received.length === 2);
    const ids = reader.blocks.filter(({ data }) => data !== undefined).map(({ id }) => id);
    expect(ids.map((id) => id?.split('~').filter((place) => place !== '').length)).toEqual([2, 3]);
    expect(ids.at(-1)).toBe(reader.lastEventId);
    reader.close();
  });
});

describe('a request for the head of a stream', () => {
  it('is answered with it, without a session or a body (P20)', async () => {
    server = await startWireServer({
      channels: [wireChannel('open.:x')],
      settings: { anonymous: true },
      pages: (req, res) => void server.sse.serve(req, res, { channels: ['open.1'] }),
    });
    const { origin } = new URL(server.httpUrl);
    for (const path of ['/realtime/sse?channels=open.1', '/feed']) {
      const reader = await EventReader.open(`${origin}${path}`, { method: 'HEAD' });
      expect([path, reader.status, reader.headers['content-type']]).toEqual([path, 200, 'text/event-stream']);
      await reader.ended();
      expect(reader.body).toBe('');
    }
    expect(server.engine.status.sessions).toBe(0);
  });
});

describe('channels that an application names in another order', () => {
  it('are continued all the same, and one that it names twice counts once (P20)', async () => {
    const lists = [
      ['open.1', 'open.2'],
      ['open.2', 'open.1', 'open.2'],
    ];
    server = await startWireServer({
      channels: [wireChannel('open.:x')],
      settings: { anonymous: true },
      pages: (req, res) => void server.sse.serve(req, res, { channels: lists.shift() ?? [] }),
    });
    const url = `${new URL(server.httpUrl).origin}/feed`;
    const first = await EventReader.open(url);
    await first.until('both outcomes', ({ received }) => received.length === 2);
    first.close();
    await publish('open.1', 'missed');
    const again = await EventReader.open(url, { headers: { 'Last-Event-ID': first.lastEventId } });
    expect(await again.payload()).toBe('missed');
    again.close();
  });
});
