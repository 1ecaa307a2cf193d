import { Duplex } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import type { Refusal } from '../../../../lib/core/ports/transport-host.js';
import { refusalBody, refusalHeaders, writeRefusal } from '../../../../lib/transports/http/refusal.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { parseResponse } from '../support/raw-client.js';

function memorySocket(): { socket: Duplex; written: Buffer[] } {
  const written: Buffer[] = [];
  const socket = new Duplex({
    allowHalfOpen: true,
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk);
      done();
    },
  });
  return { socket, written };
}

describe('writing a refusal before the upgrade (P18)', () => {
  it('a refusal is one complete HTTP response (P18)', () => {
    const { socket, written } = memorySocket();
    writeRefusal(
      socket,
      { status: 429, message: 'Zu viel für dich', retryAfterMs: 1_001 },
      new ManualClock(),
    );

    expect(written).toHaveLength(1);
    const response = parseResponse(Buffer.concat(written).toString('latin1'));
    expect(response.statusLine).toBe('HTTP/1.1 429 Too Many Requests');
    expect(response.headers).toMatchObject({
      connection: 'close',
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'content-length': String(response.body.length),
      'retry-after': '2',
    });
    expect(JSON.parse(Buffer.from(response.body, 'latin1').toString())).toEqual({
      statusCode: 429,
      message: 'Zu viel für dich',
      retryAfterMs: 1_001,
    });
    expect(socket.writableEnded).toBe(true);
  });

  it.each([
    [0, '0'],
    [1, '1'],
    [1_000, '1'],
    [1_000.1, '2'],
    [-5, '0'],
    [Number.NaN, '0'],
    [Number.POSITIVE_INFINITY, '0'],
  ])('Retry-After is in whole seconds, rounded up: %d ms (P18)', (retryAfterMs, expected) => {
    expect(refusalHeaders({ status: 503, message: '', retryAfterMs })['Retry-After']).toBe(expected);
  });

  it('Retry-After is missing without advice (P18)', () => {
    expect(refusalHeaders({ status: 403, message: '' })).not.toHaveProperty('Retry-After');
  });

  it('401 names the required scheme, and 426 the required protocol (P18)', () => {
    expect(refusalHeaders({ status: 401, message: '' })['WWW-Authenticate']).toBe('Bearer');
    expect(refusalHeaders({ status: 426, message: '' })).toMatchObject({
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
    });
  });

  it('the message of a refusal cannot add headers', () => {
    const { socket, written } = memorySocket();
    writeRefusal(
      socket,
      { status: 403, message: 'no\r\nSet-Cookie: a=b\r\n\r\n<script>' },
      new ManualClock(),
    );
    const [head] = Buffer.concat(written).toString().split('\r\n\r\n');
    expect(head).not.toContain('Set-Cookie');
    expect(refusalBody({ status: 404, message: 'a"b' })).toBe('{"statusCode":404,"message":"a\\"b"}');
  });

  it.each([
    [401, 'unauthorized'],
    [403, 'forbidden'],
  ])('%i always has a code, by which a client tells it from one of a proxy', (status, code) => {
    const refusal = { status, message: 'no' } as Refusal;
    expect(JSON.parse(refusalBody(refusal))).toEqual({ statusCode: status, message: 'no', code });
    expect(JSON.parse(refusalBody({ ...refusal, code: 'banned' }))).toMatchObject({ code: 'banned' });
  });

  it('the socket of a peer that does not close is destroyed after 2 s', async () => {
    const clock = new ManualClock();
    const { socket } = memorySocket();
    writeRefusal(socket, { status: 400, message: '' }, clock);
    await settle();
    clock.advance(1_999);
    expect(socket.destroyed).toBe(false);
    clock.advance(1);
    expect(socket.destroyed).toBe(true);
  });

  it('a peer that closes leaves no timer', async () => {
    const clock = new ManualClock();
    const { socket } = memorySocket();
    writeRefusal(socket, { status: 400, message: '' }, clock);
    socket.push(null);
    await settle();
    await settle();
    expect(socket.destroyed).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('a destroyed socket is ignored', () => {
    const clock = new ManualClock();
    const { socket, written } = memorySocket();
    socket.destroy();
    writeRefusal(socket, { status: 400, message: '' }, clock);
    expect(written).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
