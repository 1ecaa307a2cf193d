import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import type { Refusal } from '../../../../lib/core/ports/transport-host.js';
import type { FakeHost } from '../support/fake-host.js';
import { settle } from '../../../support/engine/manual-clock.js';
import {
  clientFrame,
  exchange,
  RawClient,
  refusalOf,
  upgradeRequest,
  type HeaderLines,
} from '../support/raw-client.js';
import { closeServers, listen, serve } from '../support/test-server.js';

afterEach(closeServers);

const BEARER = { 'Sec-WebSocket-Protocol': 'realtime.v1.json, bearer.abc' };

describe('refusals before the upgrade (P18)', () => {
  it.each<[string, HeaderLines, number, string]>([
    ['another upgrade', { Upgrade: 'h2c' }, 426, 'Upgrade Required'],
    ['no version', { 'Sec-WebSocket-Version': undefined }, 426, 'Upgrade Required'],
    // Version 8 names its origin in another header, past every check of Origin.
    [
      'version 8',
      { 'Sec-WebSocket-Version': '8', 'Sec-WebSocket-Origin': 'https://evil.net' },
      426,
      'Upgrade Required',
    ],
    ['version 14', { 'Sec-WebSocket-Version': '14' }, 426, 'Upgrade Required'],
    ['two versions', { 'Sec-WebSocket-Version': ['13', '13'] }, 426, 'Upgrade Required'],
    ['no key', { 'Sec-WebSocket-Key': undefined }, 400, 'Bad Request'],
    ['a short key', { 'Sec-WebSocket-Key': 'abc' }, 400, 'Bad Request'],
    [
      'two keys',
      { 'Sec-WebSocket-Key': ['dGhlIHNhbXBsZSBub25jZQ==', 'dGhlIHNhbXBsZSBub25jZQ=='] },
      400,
      'Bad Request',
    ],
    ['a body', { 'Content-Length': '5' }, 400, 'Bad Request'],
    ['a body in chunks', { 'Transfer-Encoding': 'chunked' }, 400, 'Bad Request'],
    ['two Host headers', { Host: ['example.com', 'example.com'] }, 400, 'Bad Request'],
    ['two Host headers in two spellings', { Host: ['example.com'], hOST: ['evil.net'] }, 400, 'Bad Request'],
  ])('an upgrade with %s is refused (P18)', async (_name, headers, status, reason) => {
    const { host, port } = await serve();
    const response = await refusalOf(port, '/realtime', headers);

    expect(response.statusLine).toBe(`HTTP/1.1 ${status} ${reason}`);
    expect(response.headers['content-length']).toBe(String(response.body.length));
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(response.headers['connection']).toBe(status === 426 ? 'close, Upgrade' : 'close');
    expect(response.headers['upgrade']).toBe(status === 426 ? 'websocket' : undefined);
    expect(response.headers['sec-websocket-version']).toBe(status === 426 ? '13' : undefined);
    expect(JSON.parse(response.body)).toMatchObject({ statusCode: status, message: expect.any(String) });
    // Such a request costs neither an admission nor a verification.
    expect(host.admitted).toEqual([]);
    expect(host.refused.map(([refusal, ip]) => [refusal.status, ip])).toEqual([[status, '127.0.0.1']]);
  });

  it.each(['POST', 'PUT', 'OPTIONS', 'HEAD'])('a %s request is refused with 400 (P18)', async (method) => {
    const { port } = await serve();
    expect((await refusalOf(port, '/realtime', {}, method)).statusLine).toBe('HTTP/1.1 400 Bad Request');
  });

  it('an upgrade over HTTP/1.0 is refused, and one with an empty body is not (P18)', async () => {
    const { host, port } = await serve();
    const old = await exchange(port, upgradeRequest('/realtime', {}, 'GET', '1.0'));
    expect(old.status).toBe(400);
    expect(host.admitted).toEqual([]);
    await expect(RawClient.open(port, '/realtime', { 'Content-Length': '0' })).resolves.toBeDefined();
  });

  it('what a body would be is never read as frames (P18)', async () => {
    const { host, port } = await serve();
    const frame = clientFrame(1, Buffer.from('{"type":"hello"}'));
    const request = upgradeRequest('/realtime', { 'Content-Length': String(frame.length) });
    const response = await exchange(port, request + frame.toString('latin1'));
    expect(response.status).toBe(400);
    expect(host.sessions).toEqual([]);
  });

  it('the Upgrade header is compared without case', async () => {
    const { port } = await serve();
    await expect(RawClient.open(port, '/realtime', { Upgrade: 'WebSocket' })).resolves.toBeDefined();
  });

  it.each<[Refusal, string, string | undefined]>([
    [{ status: 503, message: 'Draining', retryAfterMs: 2_500 }, 'HTTP/1.1 503 Service Unavailable', '3'],
    [{ status: 429, message: 'Too many', retryAfterMs: 1_000 }, 'HTTP/1.1 429 Too Many Requests', '1'],
    [{ status: 403, message: 'Banned' }, 'HTTP/1.1 403 Forbidden', undefined],
    [{ status: 413, message: 'Too large' }, 'HTTP/1.1 413 Payload Too Large', undefined],
  ])('a refusal of the engine is sent: %j (P18)', async (refusal, statusLine, retryAfter) => {
    const { host, port } = await serve();
    host.admit = () => refusal;
    const response = await refusalOf(port, '/realtime', BEARER);

    expect(response.statusLine).toBe(statusLine);
    expect(response.headers['retry-after']).toBe(retryAfter);
    expect(JSON.parse(response.body)).toMatchObject({ message: refusal.message });
    expect(host.asked).toEqual([]);
  });

  it.each<[RealtimeError, string, string | undefined]>([
    [new RealtimeError('unauthorized', 'Bad signature'), 'HTTP/1.1 401 Unauthorized', undefined],
    [new RealtimeError('token_expired'), 'HTTP/1.1 401 Unauthorized', undefined],
    [new RealtimeError('forbidden'), 'HTTP/1.1 403 Forbidden', undefined],
    [new RealtimeError('banned', 'Until noon', { retryAfterMs: 60_000 }), 'HTTP/1.1 403 Forbidden', '60'],
    [
      new RealtimeError('rate_limited', 'Slow down', { retryAfterMs: 1 }),
      'HTTP/1.1 429 Too Many Requests',
      '1',
    ],
    [new RealtimeError('unavailable'), 'HTTP/1.1 503 Service Unavailable', '1'],
    [new RealtimeError('internal', 'secret detail'), 'HTTP/1.1 503 Service Unavailable', '1'],
  ])(
    'credentials that are refused with %s are answered with its status (P18)',
    async (error, statusLine, retryAfter) => {
      const { host, port, errors } = await serve();
      host.verify = () => Promise.reject(error);
      const response = await refusalOf(port, '/realtime', BEARER);

      expect(response.statusLine).toBe(statusLine);
      expect(response.headers['retry-after']).toBe(retryAfter);
      expect(response.headers['www-authenticate']).toBe(statusLine.includes('401') ? 'Bearer' : undefined);
      expect(response.body).not.toContain('secret detail');
      expect(host.sessions).toEqual([]);
      expect(errors).toEqual([]);
    },
  );

  it('a failure of the authenticator is hidden from the client, and reported to the operator (P18, G25)', async () => {
    const { host, port, errors } = await serve();
    const failure = new TypeError('connect ECONNREFUSED 10.0.0.5:5432');
    host.verify = () => Promise.reject(failure);
    const response = await refusalOf(port, '/realtime', BEARER);

    expect(response.statusLine).toBe('HTTP/1.1 503 Service Unavailable');
    expect(response.headers['retry-after']).toBe('1');
    expect(response.body).not.toContain('10.0.0.5');
    expect(errors).toEqual([failure]);
  });

  it('an authenticator or an engine that throws synchronously does not end the process', async () => {
    const { host, port, errors } = await serve();
    const failure = new Error('sync');
    host.verify = () => {
      throw failure;
    };
    expect((await refusalOf(port, '/realtime', BEARER)).status).toBe(503);
    host.admit = () => {
      throw failure;
    };
    expect((await refusalOf(port)).status).toBe(503);
    expect(errors).toEqual([failure, failure]);
  });

  it('an authenticator that never answers is abandoned after handshakeTimeoutMs', async () => {
    const { host, port, clock } = await serve({ handshakeTimeoutMs: 3_000 });
    const asked = new Promise<void>((resolve) => {
      host.verify = () => (resolve(), new Promise(() => undefined));
    });
    const answer = refusalOf(port, '/realtime', BEARER);
    await asked;
    clock.advance(2_999);
    expect(await Promise.race([answer, settle().then(() => 'waiting')])).toBe('waiting');
    clock.advance(1);
    expect((await answer).status).toBe(503);
  });

  it('a client that disconnects during verification opens no session', async () => {
    const { host, port, server } = await serve();
    let finish: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      host.verify = () => (resolve(), new Promise((settle) => (finish = () => settle({}))));
    });
    const gone = new Promise<void>((resolve) =>
      server.once('connection', (socket) => socket.once('close', () => resolve())),
    );
    const client = RawClient.open(port, '/realtime', BEARER).catch(() => 'gone');
    await asked;
    server.emit('close-for-test');
    await gone;
    finish();
    expect(await client).toBe('gone');
    expect(host.sessions).toEqual([]);
  });

  it('a client that resets during verification causes no error', async () => {
    const { host, port, server, errors } = await serve();
    let finish: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      host.verify = () => (resolve(), new Promise((settle) => (finish = () => settle({}))));
    });
    const gone = new Promise<void>((resolve) =>
      server.once('connection', (accepted) => accepted.once('close', () => resolve())),
    );
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(upgradeRequest('/realtime', BEARER));
    await asked;
    socket.resetAndDestroy();
    await gone;
    finish();
    await new Promise((resolve) => setImmediate(resolve));
    expect(host.sessions).toEqual([]);
    expect(errors).toEqual([]);
  });
});

describe('the Host header', () => {
  const allowedHosts = ['example.com', 'localhost:3000'];

  it.each(['example.com', 'EXAMPLE.com:8080', 'localhost:3000'])('%s is accepted', async (host) => {
    const { port } = await serve({ allowedHosts });
    await expect(RawClient.open(port, '/realtime', { Host: host })).resolves.toBeDefined();
  });

  it.each([
    ['evil.net', 403],
    ['example.com.evil.net', 403],
    ['localhost:3001', 403],
    ['a@example.com', 400],
    ['', 400],
  ])('%j is refused with %i, before the engine is called', async (name, status) => {
    const { host, port } = await serve({ allowedHosts });
    expect((await refusalOf(port, '/realtime', { Host: name })).status).toBe(status);
    expect(host.admitted).toEqual([]);
  });
});

describe('close', () => {
  it('dispose refuses pending verifications at once, and releases the path', async () => {
    const { transport, host, port, server } = await serve();
    const asked = new Promise<void>((resolve) => {
      host.verify = () => (resolve(), new Promise(() => undefined));
    });
    const answer = refusalOf(port, '/realtime', BEARER);
    await asked;
    transport.close();
    transport.close();
    const { status, body } = await answer;
    // As a node that drains: another one takes the client at once.
    expect([status, JSON.parse(body)]).toMatchObject([503, { retryAfterMs: 250 }]);
    expect(server.listenerCount('upgrade')).toBe(0);
    expect(() => transport.attach(server)).toThrow('closed');
  });

  it('dispose opens no session whose verification finished in the same turn', async () => {
    const { transport, host, port } = await serve();
    let finish: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      host.verify = () => (resolve(), new Promise((settle) => (finish = () => settle({}))));
    });
    const answer = refusalOf(port, '/realtime', BEARER);
    await asked;
    finish();
    transport.close();
    expect(await answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    expect(host.sessions).toEqual([]);
  });

  it('dispose leaves open connections to the engine', async () => {
    const { transport, host, port } = await serve();
    const client = await RawClient.open(port);
    const session = await host.next();
    transport.close();
    session.send('still here');
    expect((await client.frame()).payload.toString()).toBe('still here');
  });

  it('dispose releases every server that the transport was attached to', async () => {
    const { transport, port } = await serve();
    const second = await listen();
    transport.attach(second.server);
    await RawClient.open(port);
    await RawClient.open(second.port);
    transport.close();
    expect(second.server.listenerCount('upgrade')).toBe(0);
  });
});

describe('failures of the server while it judges an upgrade (G25)', () => {
  it.each<[string, (host: FakeHost) => void, HeaderLines]>([
    ['the one who is told of refusals', (host) => void (host.onRefused = fail), { Upgrade: 'h2c' }],
    ['the one who knows networks', (host) => void (host.networkOf = fail), {}],
    [
      'the verification, in a later turn',
      (host) => void (host.verify = () => Promise.reject(new Error('broken'))),
      BEARER,
    ],
    [
      'the one who is told of refusals, in a later turn',
      (host) => {
        host.enter = async () => ({ status: 429, message: 'Too many' });
        host.onRefused = fail;
      },
      {},
    ],
  ])('a failure of %s is logged and answered with 503', async (_, break_, headers) => {
    const { host, errors, port } = await serve();
    break_(host);
    expect((await refusalOf(port, '/realtime', headers)).status).toBe(503);
    expect(errors).toHaveLength(1);
  });

  it('a log that fails changes nothing of the answer', async () => {
    const { host, port } = await serve({ onError: fail, onWarning: fail });
    await expect(RawClient.open(port, '/realtime', { 'X-Forwarded-For': '1.2.3.4' })).resolves.toBeDefined();
    host.networkOf = fail;
    expect((await refusalOf(port)).status).toBe(503);
  });
});

function fail(): never {
  throw new Error('broken');
}
