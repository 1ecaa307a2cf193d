import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { DirectWriter } from '../../../../lib/transports/http/direct-writer.js';
import { Outgoing } from '../../../../lib/transports/http/outgoing.js';
import { EventStream } from '../../../../lib/transports/sse/event-stream.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const TIME_TO_READ = 5_000;

/** A stream over a socket of which the test sees everything. */
function streamOf(own?: Socket, writer = new DirectWriter()) {
  const clock = new ManualClock();
  const socket = Object.assign(new PassThrough(), { timeouts: [] as number[] });
  Object.assign(socket, { setTimeout: (ms: number) => socket.timeouts.push(ms) });
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => (text += part));
  const current: { socket: typeof socket | null } = { socket };
  const res = Object.assign(new EventEmitter(), {
    ...current,
    ended: 0,
    writeHead: () => res,
    flushHeaders: () => undefined,
    end: () => void res.ended++,
  });
  const req = { socket: own ?? socket, httpVersionMajor: 1, httpVersionMinor: 1 };
  const deps = { writer, clock, closeTimeoutMs: TIME_TO_READ, outgoing: new Outgoing() };
  const stream = new EventStream(req as unknown as IncomingMessage, res as unknown as ServerResponse, deps);
  const told = { drained: 0, gone: 0 };
  stream.own({ onDrain: () => void told.drained++, onGone: () => void told.gone++ });
  return { stream, clock, socket, res, told, text: () => text };
}

describe('an event stream that was ended', () => {
  it('is cut where its client does not read the end in time, and nobody is notified twice', () => {
    const { stream, clock, socket, res, told } = streamOf();
    stream.begin({});
    stream.end('retry: 1\n\n');
    stream.end('again\n\n');
    expect([res.ended, clock.pending]).toEqual([1, 1]);
    clock.advance(TIME_TO_READ - 1);
    expect(socket.destroyed).toBe(false);
    clock.advance(1);
    expect(socket.destroyed).toBe(true);
    res.emit('close');
    res.emit('close');
    expect(told.gone).toBe(1);
  });

  it('is not cut where it closes before, and takes nothing more', () => {
    const { stream, clock, socket, res, text } = streamOf();
    stream.begin({});
    stream.end('last\n\n');
    expect(stream.write(Buffer.from('late'))).toBe(false);
    expect(stream.writeBehind('id: 1\n', Buffer.from('late'))).toBe(false);
    res.emit('close');
    clock.advance(TIME_TO_READ);
    expect([socket.destroyed, clock.pending, text()]).toEqual([false, 0, '6\r\nlast\n\n\r\n']);
  });
});

describe('an event stream that is open', () => {
  it('writes no empty chunk, which would end its body, and says when it can take more', () => {
    const { stream, socket, told, text } = streamOf();
    expect(stream.writeText('before the head\n\n')).toBe(false);
    stream.begin({});
    expect(stream.write(Buffer.alloc(0))).toBe(true);
    stream.writeText('');
    stream.writeBehind('id: 1\n', Buffer.from('FRAME'));
    expect(text()).toBe('6\r\nid: 1\n\r\nFRAME');
    socket.emit('drain');
    expect(told.drained).toBe(1);
    expect(socket.timeouts).toEqual([0]);
  });

  it('counts what the kernel did not take yet, writes behind it, and says when it has left', () => {
    const socket = new Socket();
    const behind: string[] = [];
    socket.write = (chunk: string | Uint8Array) => behind.push(chunk.toString()) > 0;
    const waiting = [500, 0];
    const writer = { write: () => waiting.shift() ?? 0 } as unknown as DirectWriter;
    const { stream, told } = streamOf(socket, writer);
    stream.begin({});
    expect(stream.write(Buffer.from('first'))).toBe(false);
    expect(stream.bufferedBytes).toBe(500);
    stream.write(Buffer.from('second'));
    expect(behind).toEqual(['second']);
    stream.onWritten(false);
    expect([stream.bufferedBytes, told.drained]).toEqual([0, 1]);
    expect(stream.write(Buffer.from('third'))).toBe(true);
    expect(behind).toEqual(['second']);
    stream.onWritten(true);
    expect(socket.destroyed).toBe(true);
  });

  it('knows whether the answers before it are complete', () => {
    const { stream, res } = streamOf();
    expect(stream.isNext).toBe(true);
    res.socket = null;
    expect(stream.isNext).toBe(false);
  });
});
