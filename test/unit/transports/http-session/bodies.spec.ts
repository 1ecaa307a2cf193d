import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import type { UnfinishedSender } from '../../../../lib/core/ports/transport-host.js';
import { BodyReader, CUT } from '../../../../lib/transports/http-session/bodies.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

interface Given {
  readonly headers?: Readonly<Record<string, string>>;
  readonly complete?: boolean;
  /** Of HTTP/2. */
  readonly rstCode?: number;
}

class FakeRequest extends EventEmitter {
  readonly socket = { destroyed: false, destroy: () => (this.socket.destroyed = true) };
  readonly headers: Readonly<Record<string, string>>;
  readonly complete: boolean;

  constructor({ headers = {}, complete = true, rstCode }: Given) {
    super();
    this.headers = headers;
    this.complete = complete;
    if (rstCode !== undefined) Object.assign(this, { stream: { rstCode } });
  }
}

function reading(given: Given = {}) {
  const clock = new ManualClock();
  const notes: number[] = [];
  let sender: UnfinishedSender | undefined;
  const unfinished = {
    note: (by: UnfinishedSender, bytes: number) => {
      sender = by;
      notes.push(bytes);
    },
  };
  const reader = new BodyReader({ clock, maxBytes: 10, timeoutMs: 1_000, unfinished });
  const req = new FakeRequest(given);
  const body = reader.read(req as unknown as IncomingMessage, { network: '::1', client: 'alice' });
  return { clock, notes, reader, req, body, shed: () => sender?.shed() };
}

describe('a body that is read', () => {
  it('is whole when it ends as it said, and is counted until then', async () => {
    for (const given of [{}, { headers: { 'content-length': '4' } }, { rstCode: 0 }]) {
      const { req, notes, body, clock } = reading(given);
      req.emit('data', Buffer.from('ab'));
      req.emit('data', Buffer.from('cd'));
      req.emit('end');
      expect(await body).toEqual(Buffer.from('abcd'));
      expect(notes).toEqual([2, 4, 0]);
      expect(clock.pending).toBe(0);
    }
  });

  it.each([{ complete: false }, { headers: { 'content-length': '3' } }, { rstCode: 8 }])(
    'is cut where it ends otherwise: %j (P21d)',
    async (given) => {
      const { req, body } = reading(given);
      req.emit('data', Buffer.from('ab'));
      req.emit('end');
      expect(await body).toBe(CUT);
    },
  );

  it.each(['close', 'error'])('is cut by %s', async (event) => {
    const { req, body } = reading();
    req.emit(event, new Error('reset'));
    expect(await body).toBe(CUT);
    // It must not end the process later.
    req.emit('error', new Error('again'));
  });

  it('is given up in time, when there is too much of it, and when nobody takes it any more', async () => {
    const slow = reading();
    slow.clock.advance(1_000);
    expect(await slow.body).toMatchObject({ status: 503 });
    const large = reading();
    large.req.emit('data', Buffer.alloc(11));
    expect(await large.body).toMatchObject({ status: 413 });
    const closed = reading();
    closed.reader.close();
    expect(await closed.body).toMatchObject({ status: 503 });
  });

  it('ends its connection when others need the memory', () => {
    const { req, shed } = reading();
    req.emit('data', Buffer.from('ab'));
    shed();
    expect(req.socket.destroyed).toBe(true);
  });
});
