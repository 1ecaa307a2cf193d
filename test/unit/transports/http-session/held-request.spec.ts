import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import type { UnfinishedSender } from '../../../../lib/core/ports/transport-host.js';
import { holdRequest } from '../../../../lib/transports/http-session/held-request.js';

function holding(more: object) {
  const notes: number[] = [];
  let destroyed = false;
  let shed = (): void => undefined;
  const unfinished = {
    note: (by: UnfinishedSender, bytes: number) => {
      shed = () => by.shed();
      notes.push(bytes);
    },
  };
  const req = {
    url: '/poll',
    headers: { a: 'bc' },
    rawHeaders: ['a', 'bc'],
    socket: { destroy: () => (destroyed = true) },
    ...more,
  } as unknown as IncomingMessage;
  const release = holdRequest(req, { network: '::1', client: 'ada' }, unfinished);
  return { req, notes, release, shed: () => shed(), isDestroyed: () => destroyed };
}

describe('a request whose answer takes long', () => {
  it('keeps nothing of its head', () => {
    const { req, notes, release } = holding({});
    expect(req.headers).toEqual({});
    expect(req.rawHeaders).toEqual([]);
    release();
    expect(notes).toEqual([5, 0]);
  });

  it('counts for its head where that stays, as over HTTP/2, and is ended where others need the memory (G16)', () => {
    const { req, notes, release, shed, isDestroyed } = holding({ stream: {} });
    expect(req.rawHeaders).toEqual(['a', 'bc']);
    expect(notes).toEqual([8]);
    expect(isDestroyed()).toBe(false);
    shed();
    expect(isDestroyed()).toBe(true);
    release();
    expect(notes).toEqual([8, 0]);
  });
});
