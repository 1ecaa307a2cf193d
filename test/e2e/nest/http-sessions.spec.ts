import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Post } from '@nestjs/common';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { Channel, PublicChannel, RealtimeService } from '../../../lib/nest/index.js';
import { patience } from '../../support/patience.js';
import { until } from '../../support/until.js';
import {
  ask,
  envelopesOf,
  hello,
  openStream,
  PollSession,
  StreamSession,
  subscribe,
} from '../http-session/raw.js';
import { byName, PLATFORMS, startApp, type AppOptions, type TestApp } from './support/nest-app.js';

@PublicChannel()
@Channel('prices.:currency')
class Prices {}

@Controller('realtime')
class Own {
  @Post('send')
  send(): string {
    return 'of the application';
  }
}

/** Sessions by polls without a poll are waited for. */
const DRAIN = { deadline: 200, spread: 100 };

let running: TestApp | undefined;

afterEach(async () => {
  await running?.close();
  running = undefined;
});

describe.each(PLATFORMS)('sessions over HTTP in an application on %s', (_name, platform) => {
  async function start(options: Partial<AppOptions> = {}): Promise<TestApp> {
    running = await startApp(platform, {
      providers: [Prices],
      ...options,
      realtime: { auth: { authenticator: byName }, drain: DRAIN, ...options.realtime },
    });
    return running;
  }

  it('are served beside global prefixes, CORS and body parsers of the application (P21)', async () => {
    const { httpUrl, app } = await start({
      controllers: [Own],
      configure: (it) => {
        it.setGlobalPrefix('api');
        it.enableCors({ origin: 'https://other.example' });
      },
    });
    const body = [hello({ token: 'ada' }), subscribe('prices.eur')];
    const [stream, polls] = [await StreamSession.open(httpUrl, body), await PollSession.open(httpUrl, body)];
    expect((await stream.send(1, { type: 'ping', id: 'p' })).status).toBe(202);
    expect((await polls.send(1, [{ type: 'ping', id: 'p' }])).status).toBe(202);
    await app.get(RealtimeService).channel('prices.eur').publish('price', 'x'.repeat(60_000));
    expect(await stream.reader.payload()).toHaveLength(60_000);
    expect((await polls.until('event')).payload).toHaveLength(60_000);
    const foreign = await ask(`${httpUrl}/send`, undefined, {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example', 'Access-Control-Request-Method': 'POST' },
    });
    expect(foreign.headers['access-control-allow-origin']).toBe('https://app.example');
    stream.reader.close();
  });

  it.each([{ httpSessions: false }, { sse: false }])(
    '%j leaves the paths to the application',
    async (transports) => {
      const { httpUrl, logger } = await start({
        controllers: [Own],
        realtime: { transports, auth: { anonymous: true } },
      });
      expect(logger.text).toContain('no sessions over HTTP');
      expect((await ask(`${httpUrl}/send`, '[]')).text).toBe('of the application');
      const { status } = await openStream(httpUrl, [hello()]);
      expect(status).toBe(transports.sse === false ? 404 : 405);
      const { text } = await ask(`${httpUrl}/sse`, '[]');
      expect(text.includes('sessions by POST are off (transports.httpSessions)')).toBe(status === 405);
    },
  );

  it('may be served without plain streams', async () => {
    const transports = { sse: false, httpSessions: true };
    const { httpUrl } = await start({ realtime: { transports, auth: { anonymous: true } } });
    const stream = await StreamSession.open(httpUrl);
    stream.reader.close();
    expect((await ask(`${httpUrl}/sse`, undefined, { method: 'GET' })).status).toBe(405);
  });

  it('app.close() tells them to go, and never hangs on those that wait, are cut or do not read (G18)', async () => {
    const { app, httpUrl, port } = await start({
      realtime: { auth: { anonymous: true }, drain: DRAIN },
    });
    const agent = new Agent({ keepAlive: true });
    const stream = await StreamSession.open(httpUrl);
    const polls = await PollSession.open(httpUrl);
    const silent = await PollSession.open(httpUrl);
    const waiting = polls.ask(1, { agent });
    const half = connect(port, '127.0.0.1');
    half.on('error', () => undefined);
    half.resume();
    half.write(
      'POST /realtime/sse HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[',
    );
    const startedAt = performance.now();
    await app.close();
    expect(performance.now() - startedAt).toBeLessThan(patience(8_000));
    await stream.reader.ended();
    expect(stream.reader.received.at(-1)).toMatchObject({ type: 'bye', payload: { code: 4001 } });
    expect(envelopesOf(await waiting)).toMatchObject([{ type: 'bye', payload: { code: 4001 } }]);
    await until('the half request to end', () => half.closed);
    await expect(silent.ask(1)).rejects.toThrow();
    agent.destroy();
  });
});
