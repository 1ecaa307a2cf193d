import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RealtimeService } from '../../lib/nest/index.js';
import type { RealtimeModuleOptions } from '../../lib/nest/realtime-options.js';
import { ProxyProcess } from '../support/proxies/process.js';
import { until } from '../support/until.js';
import { WireClient, type WireClientOptions } from '../support/wire/client.js';
import { ask, connect, open, PROXIES } from './support/behind.js';
import { sessionsOf, startNode } from './support/node.js';
import type { TestApp } from '../e2e/nest/support/nest-app.js';

const KIB = 1_024;

describe.each(PROXIES)('WebSocket through the documented %s', (name) => {
  let node: TestApp;
  let proxy: ProxyProcess;
  const clients: WireClient[] = [];

  beforeAll(async () => {
    node = await startNode({
      allowedOrigins: 'same-origin',
      limits: { maxMessageBytes: 256 * KIB, maxConnectionsPerAddress: 4 },
    });
    proxy = await ProxyProcess.start(name, { nodes: [node.port] });
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.terminate();
    // The proxies notice at once, and the limit of an address counts what the node still has.
    await until('the connections to end', () => sessionsOf(node) === 0);
  });

  afterAll(async () => {
    await proxy.close();
    await node.close();
  });

  const keep = (client: WireClient): WireClient => {
    clients.push(client);
    return client;
  };
  const join = async (user: string, options?: WireClientOptions): Promise<WireClient> =>
    keep(await connect(proxy, user, options));
  const refused = async (options: WireClientOptions) =>
    WireClient.refused(proxy.url, { ...options, socket: { ...proxy.tls, ...options.socket } });

  it('carries a conversation: authorize, subscribe, publish, signal (P18)', async () => {
    const [alice, bob] = [await join('alice'), await join('bob')];
    await bob.subscribe('rooms.1');
    await alice.subscribe('rooms.1');
    expect((await alice.error({ type: 'subscribe', channel: 'rooms.secret', payload: {} })).code).toBe(
      'forbidden',
    );
    await alice.reply({ type: 'publish', channel: 'rooms.1', event: 'said', payload: { text: 'hi' } });
    expect(await bob.take({ event: 'said' })).toMatchObject({ seq: 1, payload: { text: 'hi' } });
    await alice.reply({ type: 'signal', channel: 'rooms.1', event: 'typing', payload: {} });
    await bob.take({ type: 'signal', event: 'typing' });
  });

  it('resumes without a gap after a cut (P12)', async () => {
    const [alice, bob] = [await join('alice'), await join('bob')];
    const { position } = await bob.subscribe('rooms.2');
    bob.terminate();
    for (const n of [1, 2, 3])
      await alice.reply({ type: 'publish', channel: 'rooms.2', event: 'said', payload: { n } });
    const again = await join('bob');
    expect(await again.subscribe('rooms.2', { position })).toMatchObject({ recovery: 'complete' });
    const events = await again.nextAll(3, 'event');
    expect(events.map(({ payload }) => payload['n'])).toEqual([1, 2, 3]);
    await again.next('resumed');
  });

  it('carries large frames in both directions', async () => {
    const [alice, bob] = [await join('alice'), await join('bob')];
    await bob.subscribe('rooms.3');
    const text = 'ä'.repeat(100 * KIB);
    await alice.reply({ type: 'publish', channel: 'rooms.3', event: 'said', payload: { text } });
    expect((await bob.take({ event: 'said' })).payload['text']).toBe(text);
  });

  it('tells the node who the client is, whatever the client says about that (P18e)', async () => {
    const client = await join('alice', {
      headers: { 'X-Forwarded-For': '6.6.6.6', 'X-Forwarded-Proto': 'http', Forwarded: 'for=7.7.7.7' },
      socket: { localAddress: '127.0.0.2' },
    });
    expect(await client.reply({ type: 'request', event: 'where', payload: {} })).toEqual({
      ip: '127.0.0.2',
      secure: true,
      host: proxy.authority,
    });
  });

  it('keeps the port of the host, which the origin of a page is compared with (G22)', async () => {
    keep(await open(proxy, { headers: { Origin: `https://${proxy.authority}` } }));
    const { status } = await refused({ headers: { Origin: `https://${proxy.authority.split(':')[0]}` } });
    expect(status).toBe(403);
  });

  it('delivers refusals as the node made them (P18, P18d)', async () => {
    const unauthorized = await refused({ protocols: ['realtime.v1.json', 'bearer.bad'] });
    expect(unauthorized.status).toBe(401);
    expect(unauthorized.headers['www-authenticate']).toBe('Bearer');
    expect(JSON.parse(unauthorized.body)).toMatchObject({ statusCode: 401, code: 'unauthorized' });

    const forbidden = await refused({ headers: { Origin: 'https://evil.example' } });
    expect(forbidden.status).toBe(403);
    expect(JSON.parse(forbidden.body)).toMatchObject({ statusCode: 403, code: 'forbidden' });

    const malformed = await refused({ protocols: ['no.such.protocol'] });
    expect(malformed.status).toBe(400);
    expect(JSON.parse(malformed.body)).toMatchObject({ statusCode: 400 });

    for (let count = 0; count < 4; count++) await join('alice');
    const tooMany = await refused({});
    expect(tooMany.status).toBe(429);
    expect(Number(tooMany.headers['retry-after'])).toBeGreaterThan(0);
    expect(JSON.parse(tooMany.body)).toMatchObject({ statusCode: 429 });
    // Another client of the same proxy is another address.
    await join('bob', { socket: { localAddress: '127.0.0.3' } });
  });

  it('answers the probe as the node does (P18)', async () => {
    const good = await ask(proxy, '/realtime', { headers: { Authorization: 'Bearer alice' } });
    expect(good).toMatchObject({ status: 426 });
    const bad = await ask(proxy, '/realtime', { headers: { Authorization: 'Bearer bad' } });
    expect(bad).toMatchObject({ status: 401 });
    expect(JSON.parse(bad.body)).toMatchObject({ statusCode: 401, code: 'unauthorized' });
  });

  it('takes a token of six kilobytes', async () => {
    const token = `alice.${'a'.repeat(6 * KIB)}`;
    const client = keep(await open(proxy, { protocols: ['realtime.v1.json', `bearer.${token}`] }));
    await client.hello();
    expect(client.protocol).toBe('realtime.v1.json');
  });

  it('delivers close codes with their reasons', async () => {
    const client = await join('kicked');
    await node.app.get(RealtimeService).user('kicked').disconnect({ reason: 'logged out' });
    const { code, reason } = await client.expectClose(4811);
    expect({ code, reason }).toMatchObject({ code: 4811, reason: expect.stringContaining('kicked') });

    const bad = keep(await open(proxy));
    bad.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'bad' } });
    await bad.expectClose(4801);
  });

  it('notices a client that is gone without a word', async () => {
    const client = await join('alice');
    client.terminate();
    await until('the node to notice', () => sessionsOf(node) === 0);
  });
});

describe.each(PROXIES)('A node that stops behind the documented %s', (name) => {
  const options: RealtimeModuleOptions = { drain: { deadline: '10s', spread: '2s' } };

  it('says bye, closes with 4001, and refuses newcomers with 503 until then (G18, P18)', async () => {
    const node = await startNode(options);
    const proxy = await ProxyProcess.start(name, { nodes: [node.port] });
    try {
      const staying = await connect(proxy, 'alice');
      const closing = node.app.close();
      await staying.take({ type: 'bye' });
      const refusal = await WireClient.refused(proxy.url, { socket: proxy.tls });
      expect(refusal.status).toBe(503);
      expect(Number(refusal.headers['retry-after'])).toBeGreaterThan(0);
      const { reason } = await staying.expectClose(4001);
      expect(reason).toContain('drain');
      await closing;
    } finally {
      await proxy.close();
      await node.close();
    }
  });
});
