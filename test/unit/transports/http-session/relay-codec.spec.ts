import { describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import {
  decodeRelay,
  encodeRelay,
  type RelayMessage,
} from '../../../../lib/transports/http-session/relay-codec.js';

const ID = { process: 'p1', number: 7 };
const REQUEST: RelayMessage = {
  ...ID,
  type: 'request',
  request: {
    kind: 'send',
    session: 'AAAAAAAAAAA.bbb',
    number: 3,
    origin: 'https://app.example',
    body: Buffer.from([0, 255, 10, 91]),
    room: 1_024,
  },
};
const ANSWER: RelayMessage = {
  ...ID,
  type: 'answer',
  answer: {
    status: 200,
    headers: { 'Content-Type': 'application/json', 'Realtime-Answer': '4', 'Realtime-End': '4001' },
    body: [Buffer.from('[1]')],
  },
};

/** A message with this head and body, as another program may make it. */
function made(head: unknown, body = ''): Buffer {
  const text = Buffer.from(typeof head === 'string' ? head : JSON.stringify(head));
  const start = Buffer.from([1, 0, 0, 0, 0]);
  start.writeUInt32BE(text.length, 1);
  return Buffer.concat([start, text, Buffer.from(body)]);
}

describe('what nodes send one another of requests', () => {
  it.each<RelayMessage>([
    REQUEST,
    { ...REQUEST, request: { ...REQUEST.request, kind: 'poll', origin: undefined, body: Buffer.alloc(0) } },
    ANSWER,
    { ...ANSWER, answer: { status: 202, headers: {}, body: [] } },
    { ...ID, type: 'cancel' },
    { ...ID, type: 'held' },
    { ...ID, type: 'offer', bytes: 1_000_000 },
    { ...ID, type: 'take' },
  ] as RelayMessage[])('is read as it was written: %j', (message) => {
    expect(decodeRelay(encodeRelay(message))).toEqual(message);
  });

  it('joins the parts of a body, and keeps a number that is none', () => {
    const parts = {
      ...ANSWER,
      answer: { status: 200, headers: {}, body: ['[', '1', ']'].map((text) => Buffer.from(text)) },
    };
    expect(decodeRelay(encodeRelay(parts as RelayMessage))).toMatchObject({
      answer: { body: [Buffer.from('[1]')] },
    });
    const none = { ...REQUEST, request: { ...REQUEST.request, number: Number.NaN } };
    expect(decodeRelay(encodeRelay(none))).toMatchObject({ request: { number: Number.NaN } });
  });

  it('ignores fields and headers that a newer version adds', () => {
    const head = { t: 'answer', p: 'p', i: 1, c: 200, h: { 'Retry-After': '1', 'X-New': 'x' }, new: 1 };
    expect(decodeRelay(made(head, 'x'))).toMatchObject({ answer: { headers: { 'Retry-After': '1' } } });
  });

  it('gives an answer without a body none', () => {
    expect(decodeRelay(made({ t: 'answer', p: 'p', i: 1, c: 204, h: {} }, 'x'))).toMatchObject({
      answer: { status: 204, body: [] },
    });
  });

  it.each([
    ['no JSON', 'x{'],
    ['no object', [1]],
    ['null', null],
    ['a number of no process', { t: 'held', i: 1 }],
    ['a number below 0', { t: 'held', p: 'p', i: -1 }],
    ['a number that is a fraction', { t: 'held', p: 'p', i: 1.5 }],
    ['an unknown kind of message', { t: 'other', p: 'p', i: 1 }],
    ['an unknown kind of request', { t: 'request', p: 'p', i: 1, k: 'get', s: 's', n: 1 }],
    ['a request of no session', { t: 'request', p: 'p', i: 1, k: 'send', n: 1 }],
    ['a request with a number that is a text', { t: 'request', p: 'p', i: 1, k: 'send', s: 's', n: '1' }],
    ['a request with no number', { t: 'request', p: 'p', i: 1, k: 'send', s: 's' }],
    ['an origin that is no text', { t: 'request', p: 'p', i: 1, k: 'send', s: 's', n: 1, o: 5 }],
    ['an answer with no status', { t: 'answer', p: 'p', i: 1, h: {} }],
    ['an answer with status 101', { t: 'answer', p: 'p', i: 1, c: 101, h: {} }],
    ['an answer with status 999', { t: 'answer', p: 'p', i: 1, c: 999, h: {} }],
    ['an answer with no headers', { t: 'answer', p: 'p', i: 1, c: 200 }],
    ['a header that is a list', { t: 'answer', p: 'p', i: 1, c: 200, h: { 'Retry-After': ['1'] } }],
    ['a header with a line end', { t: 'answer', p: 'p', i: 1, c: 200, h: { 'Retry-After': '1\r\nX: y' } }],
    ['a header of any length', { t: 'answer', p: 'p', i: 1, c: 200, h: { Allow: 'x'.repeat(300) } }],
    ['a head of any length', { t: 'held', p: 'p', i: 1, x: 'x'.repeat(17_000) }],
  ])('is nothing with %s', (_what, head) => {
    expect(decodeRelay(made(head))).toBeUndefined();
  });

  it('is nothing in another form, cut anywhere in its head, or noise; and it never throws', () => {
    const whole = encodeRelay(REQUEST);
    const other = Buffer.from(whole);
    other[0] = 2;
    expect(decodeRelay(other)).toBeUndefined();
    const headEnd = 5 + whole.readUInt32BE(1);
    for (let end = 0; end < headEnd; end += 1) expect(decodeRelay(whole.subarray(0, end))).toBeUndefined();
    for (let round = 0; round < 2_000; round += 1) {
      const copy = Buffer.from(whole);
      randomBytes(1 + (round % 8)).copy(copy, round % copy.length);
      for (const bytes of [copy, randomBytes(round % 40), made(randomBytes(round % 30).toString('latin1'))])
        expect(() => decodeRelay(bytes)).not.toThrow();
    }
  });
});
