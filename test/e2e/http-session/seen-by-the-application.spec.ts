import { afterEach, expect, it } from '@jest/globals';
import type { Handshake } from '../../../lib/core/ports/connection.js';
import { wireChannel } from '../../support/wire/channel.js';
import { EventReader } from '../../support/wire/event-reader.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';
import { ask, hello, PollSession, StreamSession } from './raw.js';

const ORIGIN = 'https://app.example.com';

let server: WireServer;
let asked: Handshake['transport'][];
afterEach(() => server.close());

async function start(): Promise<void> {
  asked = [];
  server = await startWireServer({
    channels: [wireChannel('open.:x')],
    settings: { anonymous: true },
    transport: {
      allowedOrigins: (origin, { transport }) => {
        asked.push(transport);
        return origin === ORIGIN;
      },
    },
  });
}

it('a rule for origins learns whether a poll, the stream of a session or a plain stream asks (P20, P21)', async () => {
  await start();
  const headers = { origin: ORIGIN };
  await PollSession.open(server.httpUrl, [hello()], headers);
  expect(asked.splice(0)).toEqual(['polling']);
  const session = await StreamSession.open(server.httpUrl, [hello()], headers);
  expect(asked.splice(0)).toEqual(['sse']);
  const feed = await EventReader.open(`${server.httpUrl}/sse?channels=open.1`, { headers });
  expect(asked.splice(0)).toEqual(['feed']);
  feed.close();
  session.reader.close();
});

it('a page that may connect may measure its requests, and no other page (P21)', async () => {
  await start();
  const timingFor = async (origin: string, method: string) =>
    (await ask(`${server.httpUrl}/sse?channels=`, undefined, { method, headers: { origin } })).headers[
      'timing-allow-origin'
    ];
  for (const method of ['GET', 'POST']) {
    expect(await timingFor(ORIGIN, method)).toBe(ORIGIN);
    expect(await timingFor('https://other.example', method)).toBeUndefined();
  }
});

it('refused requests of sessions are reported with their status, apart from refused clients (P21)', async () => {
  await start();
  const seen: unknown[] = [];
  const { host } = server.engine;
  host.onRequestRefused = (status) => void seen.push(['request', status]);
  host.onRefused = ({ status }) => void seen.push(['upgrade', status]);
  const session = await StreamSession.open(server.httpUrl);
  expect((await session.send(7, [])).status).toBe(409);
  expect((await session.send(1, [])).status).toBe(410);
  const poll = { 'Realtime-Session': 'nobody', 'Realtime-Ack': '1' };
  expect((await ask(`${server.httpUrl}/poll`, undefined, { headers: poll })).status).toBe(410);
  expect((await ask(`${server.httpUrl}/poll`, undefined)).status).toBe(415);
  expect(seen).toEqual([
    ['request', 409],
    ['request', 410],
    ['request', 410],
    ['upgrade', 415],
  ]);
});
