import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import type { UnfinishedSender } from '../../../../lib/core/ports/transport-host.js';
import { BodyReader, CUT } from '../../../../lib/transports/http-session/bodies.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const KB = 1_024;

interface Given {
  readonly headers?: Readonly<Record<string, string>>;
  readonly complete?: boolean;
  readonly rawHeaders?: readonly string[];
  readonly maxBytes?: number;
  /** Of HTTP/2. */
  readonly rstCode?: number;
}

class FakeRequest extends EventEmitter {
  readonly socket = { destroyed: false, destroy: () => (this.socket.destroyed = true) };
  readonly headers: Readonly<Record<string, string>>;
  readonly complete: boolean;
  readonly rawHeaders: readonly string[];
  readonly url = '';

  constructor({ headers = {}, complete = true, rstCode, rawHeaders = [] }: Given) {
    super();
    this.headers = headers;
    this.complete = complete;
    this.rawHeaders = rawHeaders;
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
  const reader = new BodyReader({ clock, timeoutMs: 1_000, unfinished });
  const req = new FakeRequest(given);
  const bound = { bytes: given.maxBytes ?? 10, option: 'maxFrameBytes' } as const;
  const reading = reader.read(req as unknown as IncomingMessage, { network: '::1', client: 'alice' }, bound);
  return { clock, notes, reader, req, reading, body: reading.whole(), shed: () => sender?.shed() };
}

describe('a body that is read', () => {
  it('is whole when it ends as it said, and is counted until it is released', async () => {
    for (const given of [{}, { headers: { 'content-length': '4' } }, { rstCode: 0 }]) {
      const { req, reading: read, notes, body, clock } = reading(given);
      req.emit('data', Buffer.from('ab'));
      req.emit('data', Buffer.from('cd'));
      req.emit('end');
      expect(await body).toEqual(Buffer.from('abcd'));
      expect(await read.whole()).toEqual(Buffer.from('abcd'));
      expect(notes.at(-1)).toBeGreaterThan(4 * KB);
      expect(notes).not.toContain(0);
      read.release();
      read.release();
      expect(notes.at(-1)).toBe(0);
      expect(clock.pending).toBe(0);
    }
  });

  it('counts for what it takes: its request and its head, before anything of it came, and its buffer', () => {
    const { req, notes } = reading({ rawHeaders: ['Host', 'a'], maxBytes: 20 * KB });
    expect(notes).toEqual([4 * KB + 5]);
    for (let n = 0; n < 6; n++) req.emit('data', Buffer.alloc(2 * KB));
    // Room is made for twice as much, and the bound at most.
    expect(notes.map((bytes) => (bytes - 5) / KB)).toEqual([4, 8, 12, 20]);
    for (let n = 0; n < 4; n++) req.emit('data', Buffer.alloc(2 * KB));
    expect((notes.at(-1) as number) - 5).toBe(24 * KB);
  });

  it('holds one buffer, of the size that it said', async () => {
    const { req, body } = reading({ headers: { 'content-length': '6' } });
    for (const part of 'abcdef') req.emit('data', Buffer.from(part));
    req.emit('end');
    const whole = (await body) as Buffer;
    expect(whole.toString()).toBe('abcdef');
    expect(whole.buffer.byteLength).toBe(6);
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
    const { req, body, notes } = reading();
    req.emit(event, new Error('reset'));
    expect(await body).toBe(CUT);
    expect(notes.at(-1)).toBe(0);
    // It must not end the process later.
    req.emit('error', new Error('again'));
  });

  it('is given up in time, when there is too much of it, and when nobody takes it any more', async () => {
    const slow = reading();
    slow.clock.advance(1_000);
    expect(await slow.body).toMatchObject({ status: 503 });
    const full = reading();
    full.req.emit('data', Buffer.alloc(10));
    full.req.emit('end');
    expect(await full.body).toHaveLength(10);
    const large = reading();
    large.req.emit('data', Buffer.alloc(11));
    expect(await large.body).toMatchObject({ status: 413 });
    const closed = reading();
    closed.reader.close();
    expect(await closed.body).toMatchObject({ status: 503 });
    for (const { notes } of [slow, large, closed]) expect(notes.at(-1)).toBe(0);
  });

  it('is cut, and its connection ended, when others need the memory, also while it waits for its use', async () => {
    const { req, shed, body } = reading();
    req.emit('data', Buffer.from('ab'));
    shed();
    expect(req.socket.destroyed).toBe(true);
    expect(await body).toBe(CUT);
    const whole = reading();
    whole.req.emit('data', Buffer.from('ab'));
    whole.req.emit('end');
    whole.shed();
    expect(whole.req.socket.destroyed).toBe(true);
    expect(await whole.reading.whole()).toBe(CUT);
  });
});

describe('the chunks of a body', () => {
  it('may be a thousand, and more for each kilobyte; then its connection ends (G16)', async () => {
    const tiny = reading({ maxBytes: 100 * KB });
    for (let n = 0; n < 1_000; n++) tiny.req.emit('data', Buffer.from(' '));
    expect(tiny.req.socket.destroyed).toBe(false);
    tiny.req.emit('data', Buffer.from(' '));
    expect(tiny.req.socket.destroyed).toBe(true);
    expect(await tiny.body).toBe(CUT);
    const large = reading({ maxBytes: 4_000 * KB });
    for (let n = 0; n < 2_000; n++) large.req.emit('data', Buffer.alloc(KB));
    expect(large.req.socket.destroyed).toBe(false);
    expect(large.reading.frames).toBe(0);
  });

  it('count as frames where no network would make them so small, but for one (G16)', () => {
    const { req, reading: read } = reading({ maxBytes: 100 * KB });
    expect(read.frames).toBe(0);
    req.emit('data', Buffer.alloc(KB));
    req.emit('data', Buffer.alloc(KB - 1));
    expect(read.frames).toBe(0);
    for (let n = 0; n < 3; n++) req.emit('data', Buffer.from(' '));
    expect(read.frames).toBe(3);
  });

  it('of one that nobody reads are bounded too', () => {
    const tiny = reading({ maxBytes: 100 * KB });
    tiny.reading.release();
    for (let n = 0; n < 1_001; n++) tiny.req.emit('data', Buffer.from(' '));
    expect(tiny.req.socket.destroyed).toBe(true);
  });
});
