import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ProxyProcess } from '../support/proxies/process.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import { EventReader } from '../support/wire/event-reader.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../support/wire/server.js';
import { WireClient } from '../support/wire/client.js';
import { PROXIES } from './support/behind.js';

/** More than a browser opens connections to a host. */
const STREAMS = 12;

let server: WireServer;
let proxy: ProxyProcess;
const children: ChildProcess[] = [];

async function start(
  name: (typeof PROXIES)[number],
  options: WireServerOptions = {},
  alter?: (text: string) => string,
): Promise<void> {
  server = await startWireServer({
    channels: [wireChannel('rooms.:room')],
    settings: { anonymous: true },
    ...options,
  });
  const nodes = [Number(new URL(server.httpUrl).port)] as const;
  proxy = await ProxyProcess.start(name, { nodes, ...(alter === undefined ? {} : { alter }) });
}

afterEach(async () => {
  for (const child of children.splice(0)) child.kill();
  await proxy.close();
  await server.close();
});

const publish = (channel: string, payload: unknown) =>
  server.engine.application.publish(channel, 'said', payload);
const feed = (channels: string) => `/realtime/sse?channels=${channels}`;

describe.each(PROXIES)('plain streams behind the documented %s', (name) => {
  it('are neither compressed nor held back, although the client would take both (P20)', async () => {
    await start(name);
    const reader = await EventReader.open(`https://${proxy.authority}${feed('rooms.1')}`, {
      tls: proxy.tls,
      headers: { 'Accept-Encoding': 'gzip, br, zstd' },
    });
    try {
      expect(reader.headers['content-encoding']).toBeUndefined();
      await reader.next('subscribed');
      // One by one: each is here before the next is made.
      for (const n of [1, 2, 3]) {
        await publish('rooms.1', n);
        expect(await reader.payload()).toBe(n);
      }
    } finally {
      reader.close();
    }
  });

  it(`share one HTTP/2 connection, ${STREAMS} of them, with requests beside them (P20)`, async () => {
    await start(name);
    const session = connectHttp2(`https://${proxy.authority}`, { ...proxy.tls });
    const bodies: string[] = [];
    try {
      for (let index = 0; index < STREAMS; index++) {
        const stream = session.request({ ':path': feed(`rooms.${index}`), accept: 'text/event-stream' });
        bodies.push('');
        stream.setEncoding('utf8').on('data', (text: string) => (bodies[index] += text));
        const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
        expect(headers[':status']).toBe(200);
      }
      await until('every outcome', () => bodies.every((body) => body.includes('"subscribed"')));
      for (let index = 0; index < STREAMS; index++) await publish(`rooms.${index}`, `event ${index}`);
      await until('every event', () => bodies.every((body, index) => body.includes(`"event ${index}"`)));
      const beside = session.request({ ':path': '/health/ready' });
      const [headers] = (await once(beside, 'response')) as [Record<string, unknown>];
      expect(headers[':status']).toBe(200);
    } finally {
      session.destroy();
    }
  });

  it('end at the node when the client goes away, with the next write at the latest', async () => {
    await start(name);
    const reader = await EventReader.open(`https://${proxy.authority}${feed('rooms.1')}`, {
      tls: proxy.tls,
    });
    await reader.next('subscribed');
    expect(server.engine.status.sessions).toBe(1);
    reader.close();
    await until('the node to notice', async () => {
      // HAProxy notices when it writes.
      await publish('rooms.1', 'to nobody');
      return server.engine.status.sessions === 0;
    });
  });

  it('are read by curl -N as they come (P20)', async () => {
    await start(name);
    const curl = spawn('curl', [
      ...['-N', '-s', '--cacert', proxy.certificateFile],
      ...['--resolve', `${proxy.authority}:127.0.0.1`],
      `https://${proxy.authority}${feed('rooms.1')}`,
    ]);
    children.push(curl);
    let said = '';
    curl.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until('the outcome', () => said.includes('"subscribed"'));
    await publish('rooms.1', 'to curl');
    await until('the event', () => said.includes('"to curl"'));
    expect(said).toMatch(/^(?:retry: ?\d+\n|:.*\n|\n)*/);
  });

  it('are refused where TLS is required and a proxy does not say that it ended it (P18f)', async () => {
    const options = { transport: { requireTls: true, trustProxy: 1 } };
    const silent = (text: string): string =>
      text
        .split('\n')
        .filter((line) => !/X-Forwarded-Proto/.test(line))
        .join('\n')
        .replace('# Streams pass', 'header_up -X-Forwarded-Proto\n\t\t# Streams pass');
    await start(name, options, silent);
    const read = () => EventReader.open(`https://${proxy.authority}${feed('rooms.1')}`, { tls: proxy.tls });
    const refused = await read();
    await refused.ended();
    expect([refused.status, JSON.parse(refused.body)]).toEqual([
      403,
      expect.objectContaining({ code: 'forbidden', message: expect.stringContaining('TLS') }),
    ]);
    const socket = await WireClient.refused(proxy.url, { socket: proxy.tls });
    expect(socket.status).toBe(403);
    expect(server.records.map(({ message }) => message).join('\n')).toContain('X-Forwarded-Proto: https');

    await proxy.close();
    await server.close();
    await start(name, options);
    const accepted = await read();
    await accepted.next('subscribed');
    accepted.close();
  });
});

describe('nginx as it comes, with nothing but proxy_pass', () => {
  const bare = (text: string): string =>
    text
      .replace(/location \/ \{.*\n {2}\}\n/s, 'location / { proxy_pass http://realtime_nodes; }\n')
      .replace(/ {2}keepalive \d+;\n/, '');

  it('passes plain streams, over HTTP/1.0 and without buffering (P20)', async () => {
    await start('nginx', {}, bare);
    const reader = await EventReader.open(`https://${proxy.authority}${feed('rooms.1')}`, {
      tls: proxy.tls,
    });
    await reader.next('subscribed');
    await publish('rooms.1', 'over HTTP/1.0');
    expect(await reader.payload()).toBe('over HTTP/1.0');
    reader.close();
  });

  it('opens no WebSocket, and the log says why (P18)', async () => {
    await start('nginx', {}, bare);
    const { status, body } = await WireClient.refused(proxy.url, { socket: proxy.tls });
    expect(status).toBe(426);
    expect(JSON.parse(body)).toMatchObject({ statusCode: 426 });
    await WireClient.refused(proxy.url, { socket: proxy.tls });
    const warnings = server.records.filter(({ message }) => message.includes('without Upgrade'));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.message).toContain('docs/deployment.md');
  });
});
