import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../e2e/nest/support/nest-app.js';
import { ProxyProcess } from '../support/proxies/process.js';
import { until } from '../support/until.js';
import { PROXIES } from './support/behind.js';
import { startNode } from './support/node.js';

let node: TestApp;
let proxy: ProxyProcess;
let session: ClientHttp2Session;

async function start(name: (typeof PROXIES)[number]): Promise<void> {
  node = await startNode({ allowedOrigins: 'same-origin' });
  proxy = await ProxyProcess.start(name, { nodes: [node.port] });
  session = connectHttp2(`https://${proxy.authority}`, { ...proxy.tls });
  await once(session, 'remoteSettings');
}

afterEach(async () => {
  session.destroy();
  await proxy.close();
  await node.close();
});

async function statusOf(stream: ClientHttp2Stream): Promise<number | undefined> {
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  return headers[':status'] as number | undefined;
}

describe.each(PROXIES)('HTTP/2 from a browser to the documented %s', (name) => {
  it('is offered, and the probe is answered over it, in the page’s own words about its origin (P18)', async () => {
    await start(name);
    expect(session.alpnProtocol).toBe('h2');
    const own = session.request({ ':path': '/realtime', origin: `https://${proxy.authority}` });
    expect(await statusOf(own)).toBe(426);
    const foreign = session.request({ ':path': '/realtime', origin: 'https://evil.example' });
    expect(await statusOf(foreign)).toBe(403);
    // Kept by the proxy: the node is not asked to close it.
    const health = session.request({ ':path': '/health/ready' });
    expect(await statusOf(health)).toBe(200);
  });

  it('carries WebSocket only where the proxy says that it can (RFC 8441)', async () => {
    await start(name);
    const can = session.remoteSettings.enableConnectProtocol === true;
    // A browser opens a connection with HTTP/1.1 of its own where it is not said.
    expect(can).toBe(name === 'haproxy');
    if (!can) return;
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/realtime',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'realtime.v1.json',
      origin: `https://${proxy.authority}`,
    });
    expect(await statusOf(stream)).toBe(200);
    let said = '';
    stream.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
    stream.write(masked('{"type":"hello","id":"h1","payload":{"versions":[1],"token":"alice"}}'));
    await until('the welcome to come', () => said.includes('"type":"welcome"'));
    stream.close();
  });
});

/** A text frame of a client: RFC 6455 §5.2, with a mask of zeros. */
function masked(text: string): Buffer {
  return Buffer.concat([Buffer.of(0x81, 0x80 | text.length, 0, 0, 0, 0), Buffer.from(text)]);
}
