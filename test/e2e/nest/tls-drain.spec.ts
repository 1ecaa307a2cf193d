import { afterEach, describe, expect, it } from '@jest/globals';
import { request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { HttpsOptions } from '@nestjs/common/interfaces/external/https-options.interface.js';
import type { SecureVersion } from 'node:tls';
import { Channel, PublicChannel, RealtimeService } from '../../../lib/nest/index.js';
import { makeCertificate } from '../../support/certificate.js';
import { elapse, patience } from '../../support/patience.js';
import { hello, subscribe } from '../http-session/raw.js';
import { PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

@PublicChannel()
@Channel('rooms.:room')
class RoomsChannel {}

const certificate = makeCertificate('localhost');
const EXPRESS = PLATFORMS[0][1];
const DRAIN_CODE = 4001;
/** More than sockets take that nobody reads. */
const LARGE = 'x'.repeat(200_000);
const EVENTS = 40;

let running: TestApp;
afterEach(() => running.close());

async function start(version: SecureVersion): Promise<void> {
  running = await startApp(EXPRESS, {
    providers: [RoomsChannel],
    realtime: {
      drain: { deadline: 300, spread: 0 },
      outbox: { maxMessages: 10_000, maxBytes: 16 * 1024 * 1024 },
    },
    // Node takes more than Nest's type says.
    application: {
      httpsOptions: { ...certificate, minVersion: version, maxVersion: version } as HttpsOptions,
    },
  });
}

/** Sends a request, and gives the answer once its head has come. */
function open(path: string, body?: object): Promise<IncomingMessage> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: 'localhost',
        lookup: (_name, { all }, found) =>
          all === true ? found(null, [{ address: '127.0.0.1', family: 4 }]) : found(null, '127.0.0.1', 4),
        port: running.port,
        path: `/realtime/${path}`,
        method: text === undefined ? 'GET' : 'POST',
        headers: {
          Authorization: 'Bearer alice',
          ...(text === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        ca: certificate.cert,
        agent: false,
      },
      resolve,
    );
    sent.on('error', reject).end(text);
  });
}

/** What came, and whether it came to its end. */
async function wholeOf(
  response: IncomingMessage,
): Promise<{ readonly text: string; readonly complete: boolean }> {
  let text = '';
  response.setEncoding('utf8').on('data', (part: string) => (text += part));
  response.resume();
  await new Promise((resolve) => response.on('close', resolve).on('error', () => undefined));
  return { text, complete: response.complete };
}

const KINDS = [
  ['a plain stream', 'sse?channels=rooms.1', undefined],
  ['the stream of a session', 'sse', [hello(), subscribe('rooms.1')]],
] as const;

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('an application that closes over %s', (version) => {
  it.each(KINDS)('%s ends with its last word, for each of many clients (G18)', async (_name, path, body) => {
    await start(version);
    const responses = await Promise.all(Array.from({ length: 20 }, () => open(path, body)));
    const ends = responses.map(wholeOf);
    await running.close();
    for (const { text, complete } of await Promise.all(ends)) {
      expect(complete).toBe(true);
      expect(text).toContain(`"code":${DRAIN_CODE}`);
    }
  });

  it.each(KINDS)(
    '%s that is read slowly ends with its last word, behind what its socket had (G18)',
    async (_name, path, body) => {
      await start(version);
      const response = await open(path, body);
      response.pause();
      const service = running.app.get(RealtimeService);
      for (let n = 0; n < EVENTS; n++) await service.channel('rooms.1').publish('tick', { n, LARGE });
      const closed = running.close();
      // Its deadline passes: from then on only the socket has what the client did not read.
      await elapse(600);
      const { text, complete } = await wholeOf(response);
      expect(complete).toBe(true);
      // The events that follow are in no socket yet: the client resumes.
      const last = text.trimEnd().split('\n').at(-1);
      expect(last).toMatch(/^retry: \d+$|^data: .*"code":4001/);
      await closed;
    },
    patience(20_000),
  );

  it('the last answer to a poll comes whole', async () => {
    await start(version);
    const first = await open('poll', [hello(), subscribe('rooms.1')]);
    const session = JSON.parse((await wholeOf(first)).text)[0].payload.connection as string;
    expect(session).toBeDefined();
    const answer = wholeOf(await polled(session));
    expect(await answer).toMatchObject({ complete: true });
  });
});

function polled(session: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: 'localhost',
        lookup: (_name, { all }, found) =>
          all === true ? found(null, [{ address: '127.0.0.1', family: 4 }]) : found(null, '127.0.0.1', 4),
        port: running.port,
        path: '/realtime/poll',
        method: 'POST',
        headers: { 'Realtime-Session': session, 'Realtime-Ack': '1' },
        ca: certificate.cert,
        agent: false,
      },
      resolve,
    );
    sent.on('error', reject).end();
    void running.close();
  });
}
