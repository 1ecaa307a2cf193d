import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import { systemClock } from '../../../lib/core/ports/clock.js';
import { alteredBroker } from '../../support/engine/altered-broker.js';
import { envelopesIn, HttpExchange } from '../../support/wire/http-exchange.js';
import { post, type HttpReply } from '../../support/wire/http-post.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';
import { hello, StreamSession } from './raw.js';

const JSON_TYPE = { 'Content-Type': 'application/json' };

let server: WireServer;
afterEach(() => server.close());

async function start(options: WireServerOptions = {}): Promise<void> {
  server = await startWireServer(options);
}

const open = () => HttpExchange.open({ url: server.httpUrl }, { token: 'ada' });
const request = (
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body = path === 'send' || headers['Realtime-Session'] === undefined ? '[]' : '',
) => post(`${server.httpUrl}/${path}`, { body, headers: { ...JSON_TYPE, ...headers } });
const said = ({ status, body }: HttpReply): string =>
  `${status} ${(JSON.parse(body) as { message: string }).message}`;

describe('a refused request of a session over HTTP says what to send instead (P21)', () => {
  it('where the number of a body is missing or wrong', async () => {
    await start();
    const missing = '409 Realtime-Send is missing, or no number: number the bodies 1, 2, 3 …';
    const first = await open();
    expect(said(await request('send', { 'Realtime-Session': first.id }))).toBe(missing);
    expect(said(await (await open()).send('one', []))).toBe(missing);
    expect(said(await (await open()).send(7, []))).toBe('409 Realtime-Send: 7 does not follow 0: send 1');
    const second = await open();
    await second.send(1, []);
    expect(said(await second.send(7, []))).toBe('409 Realtime-Send: 7 does not follow 1: send 2');
  });

  it('where what a poll acknowledges is missing or wrong, or there is nothing to poll', async () => {
    await start();
    const remedy = 'send the Realtime-Answer of the last';
    const { id } = await open();
    expect(said(await request('poll', { 'Realtime-Session': id }))).toBe(
      `409 Realtime-Ack is missing, or no number: ${remedy} answer that came`,
    );
    expect(said(await (await open()).poll(7))).toBe(
      `409 Realtime-Ack: 7 is the number of no answer: ${remedy} one that came`,
    );
    const stream = await StreamSession.open(server.httpUrl, [hello({ token: 'ada' })]);
    expect(said(await request('poll', { 'Realtime-Session': stream.id, 'Realtime-Ack': '1' }))).toBe(
      '409 This session has a stream, and is not polled',
    );
  });

  it('where it begins with nothing, with no envelope, or in another type', async () => {
    await start();
    expect(said(await request('poll', {}, '[ ]'))).toBe(
      '400 The body is an empty array: a session begins with the envelope `hello`',
    );
    expect(said(await request('poll', {}, 'hello'))).toBe(
      '400 The body is neither an envelope nor an array of envelopes',
    );
    expect(said(await request('poll', { 'Content-Type': 'text/plain' }))).toBe(
      '415 Send Content-Type: application/json',
    );
  });

  it.each([
    ['does not begin with hello', [{ type: 'ping', id: 'p' }], 'the first of them `hello` with an `id`'],
    [
      'says hello without an id',
      [{ type: 'hello', payload: { versions: [1] } }],
      'the first of them `hello` with an `id`',
    ],
    [
      'speaks no revision of this server',
      [{ type: 'hello', id: 'h', payload: { versions: [9] } }],
      'No protocol revision in common: this server speaks 1.',
    ],
    [
      'has no token',
      [{ type: 'hello', id: 'h', payload: { versions: [1] } }],
      'No credentials: send a token in hello, as "Authorization: Bearer <token>", or a cookie',
    ],
  ])('where it %s', async (_, frame, message) => {
    await start();
    const [first] = envelopesIn(await request('poll', {}, JSON.stringify(frame)));
    expect(first).toMatchObject({ type: 'error', payload: { message: expect.stringContaining(message) } });
  });

  it('where a session is unknown, and where it has ended', async () => {
    await start();
    const unknown = { 'Realtime-Session': 'AAAAAAAAAAA.none', 'Realtime-Send': '1' };
    const expected =
      '410 No such session here: open another. If this repeats, several nodes run without a shared broker (docs/scaling.md)';
    expect(said(await request('send', unknown))).toBe(expected);
    expect(said(await request('send', { ...unknown, 'Realtime-Session': 'none' }))).toBe(expected);
    const exchange = await open();
    await exchange.send(7, []);
    expect(said(await exchange.send(1, []))).toBe('410 The session has ended: open another');
  });

  it('names the subprotocol to a client without a token that has a WebSocket', async () => {
    await start();
    const client = await server.open();
    client.send({ type: 'hello', id: 'h', payload: { versions: [1] } });
    expect(await client.take({ type: 'error' })).toMatchObject({
      payload: { message: expect.stringContaining('as subprotocol "bearer.<token>"') },
    });
  });
});

describe('the log of a node alone (P21j)', () => {
  const foreign = { 'Realtime-Session': 'AAAAAAAAAAA.none', 'Realtime-Send': '1', 'Realtime-Ack': '1' };
  const warnings = () => server.records.filter(({ message }) => message.includes('docs/scaling.md'));
  const MINUTE_MS = 60_000;

  it('says once that requests name sessions of another node, but not while clients of the process before come', async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
    await start({ clock });
    await request('send', foreign);
    expect(warnings()).toEqual([]);
    aheadMs = MINUTE_MS;
    const ended = await open();
    await ended.send(7, []);
    expect((await ended.send(1, [])).status).toBe(410);
    await request('send', { ...foreign, 'Realtime-Session': 'none' });
    expect(warnings()).toEqual([]);
    for (const path of ['poll', 'send', 'send']) expect((await request(path, foreign)).status).toBe(410);
    expect(warnings()).toMatchObject([
      { level: 'warn', message: expect.stringContaining('they need a shared broker, such as redisBroker') },
    ]);
  });

  it('says nothing where nodes share their broker: one that went away may have had the session', async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
    const inner = memoryBroker({ clock });
    const broker = alteredBroker(inner, { capabilities: { ...inner.capabilities, durability: 'broker' } });
    await start({ clock, broker });
    aheadMs = MINUTE_MS;
    expect((await request('send', foreign)).status).toBe(410);
    expect(warnings()).toEqual([]);
  });
});
