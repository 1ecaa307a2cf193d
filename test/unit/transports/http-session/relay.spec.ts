import { beforeEach, describe, expect, it } from '@jest/globals';
import type { MaybePromise } from '../../../../lib/core/ports/maybe-promise.js';
import type { Answer } from '../../../../lib/transports/http-session/answer.js';
import {
  decodeRelay,
  encodeRelay,
  type RelayedRequest,
  type RelayMessage,
} from '../../../../lib/transports/http-session/relay-codec.js';
import { SessionRelay } from '../../../../lib/transports/http-session/relay.js';
import type { SessionAnswers, SessionRequest } from '../../../../lib/transports/http-session/requests.js';
import { nodeKeyOf } from '../../../../lib/transports/http-session/session-id.js';
import { ManualClock, settle as turn } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';
import { FakeLinks } from './fake-links.js';

/** What takes a turn is confirmed in the next. */
const settle = async (): Promise<void> => {
  await turn();
  await turn();
};

const POLL_MS = 25_000;
const SECRET = 'secret-part-of-an-id';
const TAKEN: Answer = { status: 202, headers: { 'Cache-Control': 'no-store' }, body: [] };
const POLLED: Answer = {
  status: 200,
  headers: { 'Content-Type': 'application/json', 'Realtime-Answer': '2' },
  body: [Buffer.from('['), Buffer.from('1]')],
};

/** The sessions of a node, which answer as a test says. */
class FakeSessions implements SessionAnswers {
  readonly sends: { readonly request: SessionRequest; readonly body: string }[] = [];
  readonly polls: SessionRequest[] = [];
  readonly large: SessionRequest[] = [];
  readonly begun: SessionRequest[] = [];
  readonly finished: SessionRequest[] = [];
  onBegin: () => MaybePromise<Answer | undefined> = () => undefined;
  /** Polls whose client went away. */
  gone = 0;
  onSend: () => MaybePromise<Answer> = () => TAKEN;
  /** Answers the polls that wait, in turn. */
  readonly waiting: ((answer: Answer) => void)[] = [];
  onPoll: () => MaybePromise<Answer> = () => new Promise((resolve) => this.waiting.push(resolve));

  send(request: SessionRequest, body: Buffer): MaybePromise<Answer> {
    this.sends.push({ request, body: body.toString() });
    return this.onSend();
  }

  beginSend(request: SessionRequest): MaybePromise<Answer | undefined> {
    this.begun.push(request);
    return this.onBegin();
  }

  finishSend(request: SessionRequest, body: Buffer): MaybePromise<Answer> {
    this.finished.push(request);
    return this.send(request, body);
  }

  tooLarge(request: SessionRequest): Answer {
    this.large.push(request);
    return { status: 413, headers: {}, body: [] };
  }

  poll(request: SessionRequest, whenGone: (callback: () => void) => void): MaybePromise<Answer> {
    this.polls.push(request);
    whenGone(() => this.gone++);
    return this.onPoll();
  }
}

let clock: ManualClock;
let links: FakeLinks;
/** The node that requests reach, and the one that holds the session. */
let left: { relay: SessionRelay; sessions: FakeSessions };
let right: { relay: SessionRelay; sessions: FakeSessions };
let errors: unknown[];

function node(
  name: string,
  topic = 'http-session /realtime/',
): { relay: SessionRelay; sessions: FakeSessions } {
  const sessions = new FakeSessions();
  const relay = new SessionRelay({
    link: links.link(name),
    topic,
    clock,
    entropy: new SeededEntropy(name.length),
    pollMs: POLL_MS,
    answers: sessions,
    onError: (error) => errors.push(error),
  });
  return { relay, sessions };
}

beforeEach(() => {
  clock = new ManualClock();
  links = new FakeLinks();
  errors = [];
  left = node('left');
  right = node('right');
});

const of = (name: string, change: Partial<SessionRequest> = {}): SessionRequest => ({
  session: `${nodeKeyOf(name)}.${SECRET}`,
  number: 1,
  origin: 'https://app.example',
  network: '192.0.2.1',
  ...change,
});

/** What became of a request at the left node. */
interface Outcome {
  answer?: Answer;
  /** The client goes away. */
  leave: () => void;
}

function begin(run: (whenGone: (callback: () => void) => void) => Promise<Answer>): Outcome {
  const outcome: Outcome = { leave: () => undefined };
  void run((callback) => (outcome.leave = callback)).then((answer) => (outcome.answer = answer));
  return outcome;
}

const send = (request = of('right'), body = '[1]'): Outcome =>
  begin(() => left.relay.finishSend(request, Buffer.from(body)));
/** The look at a request before its body is read. */
const look = (request: SessionRequest, bytes = 3): Promise<Answer | undefined> =>
  left.relay.beginSend(request, bytes);
const poll = (request = of('right')): Outcome => begin((whenGone) => left.relay.poll(request, whenGone));
const read = (message: { readonly bytes: Uint8Array } | undefined): RelayMessage | undefined =>
  message && decodeRelay(message.bytes);
const kinds = (): readonly unknown[] => links.sent.map((message) => read(message)?.type);
const textOf = ({ answer }: Outcome): string => Buffer.concat([...(answer?.body ?? [])]).toString();

it('a request is read by the transport of its path alone, where an engine has several', async () => {
  const other = node('right', 'http-session /admin/');
  const request = { session: `${nodeKeyOf('right')}.secret`, number: 1, origin: undefined, network: 'a' };
  await left.relay.finishSend(request, Buffer.from('[]'));
  expect(right.sessions.sends).toHaveLength(1);
  expect(other.sessions.sends).toHaveLength(0);
});

describe('requests of sessions that another node holds', () => {
  it('are carried to the node that the id names, as they are, and its answer comes back (P21j)', async () => {
    const sent = send();
    const polled = poll(of('right', { number: 4, origin: undefined }));
    await settle();
    right.sessions.waiting.shift()?.(POLLED);
    await settle();
    expect(right.sessions.sends).toEqual([{ request: of('right', { network: '' }), body: '[1]' }]);
    expect(right.sessions.polls).toEqual([of('right', { number: 4, origin: undefined, network: '' })]);
    expect(sent.answer).toEqual(TAKEN);
    expect(polled.answer).toMatchObject({ status: 200, headers: POLLED.headers });
    expect(textOf(polled)).toBe('[1]');
    expect([left.sessions.sends, left.sessions.polls]).toEqual([[], []]);
    expect([left.relay.size, right.relay.served]).toEqual([0, 0]);
  });

  it('keep apart: each answer reaches its own request, in whatever order they come', async () => {
    const polls = [1, 2, 3].map((number) => poll(of('right', { number })));
    await settle();
    for (const index of [2, 0, 1])
      right.sessions.waiting[index]?.({ ...POLLED, headers: { 'Realtime-Answer': String(index) } });
    await settle();
    expect(polls.map(({ answer }) => answer?.headers['Realtime-Answer'])).toEqual(['0', '1', '2']);
  });

  it('that are answered at once are not confirmed before; those that wait are, at once', async () => {
    send();
    await settle();
    expect(kinds()).toEqual(['request', 'answer']);
    links.sent.length = 0;
    right.sessions.onPoll = async () => POLLED;
    poll();
    await settle();
    expect(kinds()).toEqual(['request', 'answer']);
    links.sent.length = 0;
    right.sessions.onPoll = () => new Promise(() => undefined);
    poll();
    await settle();
    expect(kinds()).toEqual(['request', 'held']);
  });

  it('carry answers that refuse, with their bodies and delays', async () => {
    right.sessions.onSend = () => ({
      status: 429,
      headers: { 'Content-Type': 'application/json; charset=utf-8', 'Retry-After': '1' },
      body: [Buffer.from('{"statusCode":429}')],
    });
    const sent = send();
    await settle();
    expect(sent.answer).toMatchObject({ status: 429, headers: { 'Retry-After': '1' } });
    expect(textOf(sent)).toBe('{"statusCode":429}');
  });

  it('are answered before their body is read where that is not needed: no such node, nothing known, or no more read', async () => {
    expect(await look(of('right'))).toBeUndefined();
    expect((await look(of('gone')))?.status).toBe(410);
    expect((await look(of('right', { session: 'nonsense' })))?.status).toBe(410);
    links.down = true;
    clock.advance(2_000);
    expect((await look(of('right')))?.status).toBe(503);
    expect(links.sent).toEqual([]);
  });

  it('of a session that is not read from are not carried again for a second, and those of others are', async () => {
    right.sessions.onSend = () => ({ status: 429, headers: { 'Retry-After': '1' }, body: [] });
    send();
    await settle();
    right.sessions.onSend = () => TAKEN;
    const early = await look(of('right'));
    expect([early?.status, early?.headers['Retry-After']]).toEqual([429, '1']);
    const other = of('right', { session: `${nodeKeyOf('right')}.other` });
    expect(await look(other)).toBeUndefined();
    clock.advance(999);
    expect((await look(of('right')))?.status).toBe(429);
    clock.advance(1);
    expect(await look(of('right'))).toBeUndefined();
  });

  it('that name sessions which their node does not know are refused after 200 of an address; known ones of it pass', async () => {
    send();
    await settle();
    right.sessions.onSend = () => ({ status: 410, headers: {}, body: [] });
    for (let guess = 0; guess < 200; guess += 1)
      send(of('right', { session: `${nodeKeyOf('right')}.guess${guess}` }));
    await settle();
    const guessed = of('right', { session: `${nodeKeyOf('right')}.guess` });
    expect((await look(guessed))?.status).toBe(429);
    const [sent, polled] = [send(guessed), poll(guessed)];
    await settle();
    expect([sent.answer?.status, polled.answer?.status]).toEqual([429, 429]);
    right.sessions.onSend = () => TAKEN;
    const [own, other] = [send(), send({ ...guessed, network: '192.0.2.2' })];
    await settle();
    expect([own.answer?.status, other.answer?.status]).toEqual([202, 202]);
    expect(await look(of('right'))).toBeUndefined();
  });

  it('ask the node of the session before a body of more than 16 KiB, or of unknown length, is read (P21j)', async () => {
    const unknown = { status: 410, headers: {}, body: [] };
    const ask = async (bytes: number): Promise<number | undefined> => {
      const answered = look(of('right'), bytes);
      await settle();
      return (await answered)?.status;
    };
    expect([await ask(16_384), right.sessions.begun.length]).toEqual([undefined, 0]);
    expect([await ask(16_385), await ask(Number.NaN)]).toEqual([undefined, undefined]);
    expect(right.sessions.begun).toEqual([of('right', { network: '' }), of('right', { network: '' })]);
    right.sessions.onBegin = async () => undefined;
    expect(await ask(16_385)).toBeUndefined();
    right.sessions.onBegin = () => unknown;
    expect(await ask(16_385)).toBe(410);
    right.sessions.onBegin = async () => ({ status: 429, headers: {}, body: [] });
    expect([await ask(16_385), await ask(1)]).toEqual([429, 429]);
    expect(right.sessions.sends).toEqual([]);
    expect([left.relay.size, right.relay.served]).toEqual([0, 0]);
  });

  it('with a body that was asked for are not looked at again; others are', async () => {
    send(of('right'), 'x'.repeat(16_384));
    await settle();
    expect([right.sessions.finished.length, right.sessions.sends.length]).toEqual([0, 1]);
    send(of('right'), 'x'.repeat(16_385));
    await settle();
    expect([right.sessions.finished.length, right.sessions.sends.length]).toEqual([1, 2]);
  });

  it('that guess ids with large bodies are refused after 200 of an address, and no body was carried', async () => {
    right.sessions.onBegin = () => ({ status: 410, headers: {}, body: [] });
    for (let guess = 0; guess < 200; guess += 1)
      void look(of('right', { session: `${nodeKeyOf('right')}.guess${guess}` }), 250_000);
    await settle();
    links.sent.length = 0;
    const refused = await look(of('right', { session: `${nodeKeyOf('right')}.guess` }), 250_000);
    expect([refused?.status, links.sent.length]).toEqual([429, 0]);
    expect((await look(of('right', { network: '192.0.2.2' }), 1))?.status).toBeUndefined();
  });

  it('whose body was too large end there as they would here', async () => {
    const outcome = begin(() => left.relay.tooLarge(of('right')));
    await settle();
    expect(outcome.answer?.status).toBe(413);
    expect(right.sessions.large).toEqual([of('right', { network: '' })]);
    expect(right.sessions.sends).toEqual([]);
  });

  it('are 410 when no live node has that name, after a fresh look, and when the id names none (P21j)', async () => {
    for (const session of [
      `${nodeKeyOf('gone')}.${SECRET}`,
      'nonsense',
      '',
      `${nodeKeyOf('right')}.${'x'.repeat(200)}`,
    ]) {
      const outcome = send(of('right', { session }));
      await settle();
      expect(outcome.answer?.status).toBe(410);
    }
    expect(links.looks).toBe(2);
    expect(links.sent).toEqual([]);
  });

  it('reach a node that the first look did not know yet', async () => {
    const started = node('new');
    links.live = ['left', 'right'];
    links.onLook = () => {
      if (links.looks === 2) links.live = ['left', 'right', 'new'];
    };
    const outcome = send(of('new'));
    await settle();
    expect(outcome.answer).toEqual(TAKEN);
    expect(started.sessions.sends).toHaveLength(1);
  });

  it('are 503 with a delay when the nodes cannot be known, or nothing can be sent; never 410 (P21j)', async () => {
    links.down = true;
    const unknown = [send(of('gone')), send(), poll()];
    await settle();
    for (const { answer } of unknown) {
      expect(answer?.status).toBe(503);
      expect(answer?.headers['Retry-After']).toBe('1');
    }
    expect(right.sessions.sends).toEqual([]);
    expect(left.relay.size).toBe(0);
    links.down = false;
    const again = send();
    await settle();
    expect(again.answer).toEqual(TAKEN);
  });

  it('are 503 when the way breaks between the look and the request', async () => {
    links.lose = () => {
      throw new Error('away');
    };
    const sent = send();
    await settle();
    expect(sent.answer?.status).toBe(503);
    expect(left.relay.size).toBe(0);
  });

  it('are 503 when there is neither an answer nor a confirmation in five seconds, and the other node takes it back (P21j)', async () => {
    links.lose = ({ to }) => to === 'left';
    right.sessions.onSend = () => new Promise(() => undefined);
    const outcomes = [send(), poll()];
    await settle();
    clock.advance(4_999);
    await settle();
    expect(outcomes.map(({ answer }) => answer)).toEqual([undefined, undefined]);
    clock.advance(1);
    await settle();
    expect(outcomes.map(({ answer }) => answer?.status)).toEqual([503, 503]);
    expect(right.sessions.gone).toBe(1);
    expect([left.relay.size, right.relay.served]).toEqual([0, 0]);
    // An answer that comes yet meets nobody.
    links.lose = () => false;
    right.sessions.waiting.shift()?.(POLLED);
    await settle();
    expect(outcomes[1]?.answer?.status).toBe(503);
  });

  it('wait ten seconds for a body that waits at its node, and a poll five longer than it waits there (P21j)', async () => {
    right.sessions.onSend = () => new Promise(() => undefined);
    const [sent, polled] = [send(), poll()];
    await settle();
    clock.advance(9_999);
    await settle();
    expect(sent.answer).toBeUndefined();
    clock.advance(1);
    await settle();
    expect(sent.answer?.status).toBe(503);
    clock.advance(POLL_MS + 5_000 - 10_001);
    await settle();
    expect(polled.answer).toBeUndefined();
    clock.advance(1);
    await settle();
    expect(polled.answer?.status).toBe(503);
    expect(right.sessions.gone).toBe(1);
  });

  it('whose client goes away are taken back at the other node, before and after they were confirmed', async () => {
    const held = poll();
    await settle();
    held.leave();
    await settle();
    expect(right.sessions.gone).toBe(1);
    links.lose = ({ from }) => from === 'right';
    const unconfirmed = poll();
    await settle();
    unconfirmed.leave();
    await settle();
    expect(right.sessions.gone).toBe(2);
    expect([left.relay.size, right.relay.served]).toEqual([0, 0]);
    held.leave();
    await settle();
    expect(right.sessions.gone).toBe(2);
  });

  it('whose client goes away while the node is looked for are not sent', async () => {
    const outcome = poll();
    outcome.leave();
    await settle();
    expect(right.sessions.polls).toEqual([]);
    expect(left.relay.size).toBe(0);
  });

  it('that wait at a node that dies are 410 when it is missing at two looks, and wait on where one look alone missed it (P21j)', async () => {
    const held = poll();
    await settle();
    const liveAre = async (...live: readonly string[]): Promise<void> => {
      links.live = live;
      clock.advance(2_000);
      await settle();
    };
    await liveAre('left');
    await liveAre('left', 'right');
    await liveAre('left');
    links.down = true;
    await liveAre('left');
    links.down = false;
    expect(held.answer).toBeUndefined();
    await liveAre('left');
    expect(held.answer?.status).toBe(410);
    // With nothing that waits, nobody looks.
    const { looks } = links;
    clock.advance(60_000);
    await settle();
    expect(links.looks).toBe(looks);
    expect(clock.pending).toBe(0);
  });

  it('are bounded for an address, and for all of them', async () => {
    links.lose = () => true;
    const large = 'x'.repeat(1024 * 1024);
    const taken = [1, 2, 3, 4].map(() => send(of('right'), large));
    const above = send(of('right'), large);
    const other = send(of('right', { network: '192.0.2.2' }));
    await settle();
    expect(above.answer?.status).toBe(429);
    expect(above.answer?.headers['Retry-After']).toBe('1');
    expect([...taken, other].map(({ answer }) => answer)).toEqual(Array(5).fill(undefined));
    for (let address = 0; address < 30; address += 1) send(of('right', { network: `a${address}` }), large);
    const full = send(of('right', { network: 'b' }), large);
    await settle();
    expect(full.answer?.status).toBe(503);
    clock.advance(5_000);
    await settle();
    links.lose = () => false;
    const again = send(of('right'), large);
    await settle();
    expect(again.answer).toEqual(TAKEN);
  });

  it('of an address that wait at their nodes leave its room to the next ones', async () => {
    for (let count = 0; count < 1_100; count += 1) {
      poll();
      if (count % 100 === 0) await settle();
    }
    await settle();
    expect(left.relay.size).toBe(1_100);
  });

  it('are offered answers of more than 16 KiB, 4 MiB of which come at once; addresses take turns (P21j)', async () => {
    const large = { ...POLLED, body: [Buffer.alloc(1024 * 1024)] };
    right.sessions.onPoll = () => large;
    links.lose = ({ to, bytes }) => to === 'left' && decodeRelay(bytes)?.type === 'answer';
    const polls = [1, 1, 1, 2, 3, 4].map((address) => poll(of('right', { network: `a${address}` })));
    await settle();
    const count = (type: string): number => kinds().filter((kind) => kind === type).length;
    expect([count('offer'), count('take'), count('answer')]).toEqual([6, 4, 4]);
    // What does not come is given up and makes room for what waits: the session keeps its answer.
    links.lose = () => false;
    clock.advance(5_000);
    await settle();
    expect(polls.map(({ answer }) => answer?.status)).toEqual([503, 503, 200, 503, 503, 200]);
    expect(count('cancel')).toBe(4);
    const again = poll();
    await settle();
    expect(textOf(again)).toHaveLength(1024 * 1024);
    expect([left.relay.size, clock.pending]).toEqual([0, 0]);
  });

  it('wait five seconds for room, also those that have waited at their node', async () => {
    const sized = (mib: number): Answer => ({ ...POLLED, body: [Buffer.alloc(mib * 1024 * 1024)] });
    const held = poll();
    await settle();
    links.lose = ({ to, bytes }) => to === 'left' && decodeRelay(bytes)?.type === 'answer';
    // What takes the room, and what it is given to after that.
    for (const [network, mib] of [
      ['a', 4],
      ['b', 5],
    ] as const) {
      right.sessions.onPoll = () => sized(mib);
      poll(of('right', { network }));
    }
    await settle();
    right.sessions.waiting.shift()?.(sized(1));
    await settle();
    clock.advance(4_999);
    await settle();
    expect(held.answer).toBeUndefined();
    clock.advance(1);
    await settle();
    expect(held.answer?.status).toBe(503);
  });

  it('are answered at once up to 16 KiB, after a wait up to 4 KiB, and up to 1 KiB where many are under way', async () => {
    const offers = async (bytes: number, late: boolean): Promise<boolean> => {
      links.sent.length = 0;
      const made = { ...POLLED, body: [Buffer.alloc(bytes)] };
      right.sessions.onPoll = () => (late ? Promise.resolve(made) : made);
      const polled = poll();
      await settle();
      expect(polled.answer?.status).toBe(200);
      return kinds().includes('offer');
    };
    expect([await offers(16_384, false), await offers(16_385, false)]).toEqual([false, true]);
    expect([await offers(4_096, true), await offers(4_097, true)]).toEqual([false, true]);
    links.lose = () => true;
    for (let count = 0; count < 256; count += 1) send(of('right', { network: 'b' }));
    await settle();
    links.lose = () => false;
    expect([await offers(1_024, false), await offers(1_025, false)]).toEqual([false, true]);
  });

  it('whose answer finds no room at its node on the way here are 503 at once', async () => {
    links.refuse = ({ bytes }) => bytes.length > 4_096;
    right.sessions.onPoll = () => ({ ...POLLED, body: [Buffer.alloc(10_000)] });
    const polled = poll();
    await settle();
    expect(polled.answer?.status).toBe(503);
    expect(left.relay.size).toBe(0);
  });

  it('leave nothing behind after many of every outcome', async () => {
    for (let round = 0; round < 30; round += 1) {
      const [one, two] = [poll(), poll(of('gone'))];
      send();
      await settle();
      one.leave();
      two.leave();
      links.lose = () => round % 3 === 0;
      send();
      await settle();
      clock.advance(6_000);
      await settle();
      links.lose = () => false;
    }
    clock.advance(60_000);
    await settle();
    expect([left.relay.size, right.relay.served, clock.pending]).toEqual([0, 0, 0]);
    // The bounds are free again: as many as ever.
    links.lose = () => true;
    for (let count = 0; count < 1_024; count += 1) send();
    await settle();
    expect(left.relay.size).toBe(1_024);
  });

  it('are refused when this node closes, and those that wait are taken back; what came from others is still answered', async () => {
    const held = poll();
    const served = right.relay.poll(of('left'), () => undefined);
    await settle();
    left.relay.close();
    left.relay.close();
    await settle();
    expect(held.answer?.status).toBe(503);
    expect(Buffer.concat([...(held.answer?.body ?? [])]).toString()).toContain('"retryAfterMs":250');
    expect(right.sessions.gone).toBe(1);
    const late = send();
    await settle();
    expect(late.answer?.status).toBe(503);
    left.sessions.waiting.shift()?.(POLLED);
    expect((await served).status).toBe(200);
  });

  it('never show an id in an answer', async () => {
    const outcomes = [send(of('gone')), send(of('right', { session: SECRET }))];
    links.lose = () => true;
    outcomes.push(send(), poll());
    await settle();
    clock.advance(60_000);
    await settle();
    links.down = true;
    outcomes.push(send());
    await settle();
    for (const outcome of outcomes) {
      expect(outcome.answer).toBeDefined();
      expect(JSON.stringify(outcome.answer?.headers) + textOf(outcome)).not.toContain(SECRET);
    }
    expect(errors).toEqual([]);
  });
});

describe('requests that came to another node', () => {
  const request = (number: number, change: Partial<RelayedRequest> = {}, process = 'p'): Uint8Array =>
    encodeRelay({
      process,
      number,
      type: 'request',
      request: {
        kind: 'send',
        session: of('right').session,
        number: 1,
        origin: undefined,
        body: Buffer.from('[]'),
        room: 16 * 1024,
        ...change,
      },
    });
  const deliver = (bytes: Uint8Array, from = 'left'): void => links.deliver({ from, to: 'right', bytes });

  it('run once, however often they arrive, and not after a later one; those of a new process do', async () => {
    for (const number of [1, 1, 3, 2, 3]) deliver(request(number));
    deliver(request(1), 'other');
    deliver(request(1, {}, 'p2'));
    expect(right.sessions.sends).toHaveLength(4);
    deliver(request(5, { kind: 'poll' }, 'p2'));
    deliver(request(5, { kind: 'poll' }, 'p2'));
    await settle();
    expect(right.sessions.polls).toHaveLength(1);
    expect(right.relay.served).toBe(1);
  });

  it('are answered with 503 when the node fails at them, and the error is reported', async () => {
    right.sessions.onSend = () => {
      throw new Error('bug');
    };
    const thrown = send();
    await settle();
    right.sessions.onSend = () => Promise.reject(new Error('later'));
    const rejected = send();
    await settle();
    expect([thrown.answer?.status, rejected.answer?.status]).toEqual([503, 503]);
    expect(errors.map(String)).toEqual(['Error: bug', 'Error: later']);
    expect(right.relay.served).toBe(0);
  });

  it('may wait in bytes as much as is bounded; further ones are 503', async () => {
    right.sessions.onSend = () => new Promise(() => undefined);
    const body = Buffer.alloc(8 * 1024 * 1024);
    for (const number of [1, 2, 3, 4, 5]) deliver(request(number, { body }));
    await settle();
    expect(right.sessions.sends).toHaveLength(4);
    const last = links.sent.map(read).find((message) => message?.number === 5);
    expect(last).toMatchObject({ type: 'answer', answer: { status: 503 } });
    // What is taken back makes room.
    deliver(encodeRelay({ process: 'p', number: 1, type: 'cancel' }));
    deliver(request(6, { body }));
    expect(right.sessions.sends).toHaveLength(5);
  });

  it('are offered 32 MiB of answers at most, for 15 seconds, and no longer than who asked waits', async () => {
    const body = Buffer.alloc(8 * 1024 * 1024);
    right.sessions.onPoll = () => ({ ...POLLED, body: [body] });
    const typesOf = (number: number): readonly unknown[] =>
      links.sent
        .map(read)
        .filter((message) => message?.process === 'p' && message.number === number)
        .map((message) => message?.type);
    for (const number of [1, 2, 3, 4, 5]) deliver(request(number, { kind: 'poll' }));
    expect([1, 4, 5].map((number) => typesOf(number))).toEqual([['offer'], ['offer'], ['answer']]);
    deliver(encodeRelay({ process: 'p', number: 1, type: 'cancel' }));
    deliver(encodeRelay({ process: 'p', number: 1, type: 'take' }));
    deliver(encodeRelay({ process: 'p', number: 2, type: 'take' }), 'other');
    deliver(encodeRelay({ process: 'p', number: 2, type: 'take' }));
    deliver(encodeRelay({ process: 'p', number: 2, type: 'take' }));
    expect([typesOf(1), typesOf(2)]).toEqual([['offer'], ['offer', 'answer']]);
    clock.advance(10_000);
    deliver(request(6, { kind: 'poll' }));
    clock.advance(5_000);
    for (const number of [3, 6]) deliver(encodeRelay({ process: 'p', number, type: 'take' }));
    expect([typesOf(3), typesOf(6)]).toEqual([['offer'], ['offer', 'answer']]);
    expect(clock.pending).toBe(0);
    await settle();
  });

  it('are offered no answer that may hold an erased event, and its bytes make room (G29)', () => {
    const half = 16 * 1024 * 1024;
    let seq = 0;
    right.sessions.onPoll = () => ({
      ...POLLED,
      body: [Buffer.alloc(half - 64), Buffer.from(`"seq":${++seq},`)],
    });
    const lastOf = (number: number): RelayMessage | undefined =>
      links.sent
        .map(read)
        .filter((message) => message?.process === 'p' && message.number === number)
        .at(-1);
    for (const number of [1, 2, 3]) deliver(request(number, { kind: 'poll' }));
    expect([1, 2, 3].map((number) => lastOf(number)?.type)).toEqual(['offer', 'offer', 'answer']);
    right.relay.erase([1, 20]);
    deliver(request(4, { kind: 'poll' }));
    expect(lastOf(4)?.type).toBe('offer');
    for (const number of [1, 2]) deliver(encodeRelay({ process: 'p', number, type: 'take' }));
    expect([lastOf(1), lastOf(2)]).toMatchObject([{ answer: { status: 503 } }, { answer: { status: 200 } }]);
    right.relay.erase([4]);
    clock.advance(15_000);
    expect(clock.pending).toBe(0);
  });

  it('are not answered by a node that is down, and leave nothing there', async () => {
    const polled = poll();
    await settle();
    links.down = true;
    right.sessions.waiting.shift()?.(POLLED);
    await settle();
    expect(right.relay.served).toBe(0);
    clock.advance(POLL_MS + 5_000);
    await settle();
    expect(polled.answer?.status).toBe(503);
  });

  it('leave the node unharmed when a peer sends noise, or takes part in what is not its own', async () => {
    const polled = poll();
    await settle();
    const forwarded = read(links.sent[0]);
    if (forwarded === undefined) throw new Error('Nothing was sent');
    const { process, number } = forwarded;
    const answer = encodeRelay({ process, number, type: 'answer', answer: POLLED });
    // Of a node that was not asked, of another process, of another request.
    links.deliver({ from: 'other', to: 'left', bytes: answer });
    links.deliver({
      from: 'right',
      to: 'left',
      bytes: encodeRelay({ process: 'else', number, type: 'answer', answer: POLLED }),
    });
    links.deliver({
      from: 'right',
      to: 'left',
      bytes: encodeRelay({ process, number: number + 1, type: 'held' }),
    });
    for (const bytes of [new Uint8Array(0), Uint8Array.of(9), answer.subarray(0, 12)])
      links.deliver({ from: 'right', to: 'left', bytes });
    // A stranger takes nothing back.
    deliver(encodeRelay({ process, number, type: 'cancel' }), 'other');
    await settle();
    expect(right.sessions.gone).toBe(0);
    expect(polled.answer).toBeUndefined();
    links.deliver({ from: 'right', to: 'left', bytes: answer });
    await settle();
    expect(polled.answer?.status).toBe(200);
    // And again, when it is over.
    links.deliver({ from: 'right', to: 'left', bytes: answer });
    expect(errors).toEqual([]);
  });

  it('confirmed twice are held once', async () => {
    const polled = poll();
    await settle();
    const { process = '', number = 0 } = read(links.sent[0]) ?? {};
    const held = encodeRelay({ process, number, type: 'held' });
    links.deliver({ from: 'right', to: 'left', bytes: held });
    links.deliver({ from: 'right', to: 'left', bytes: held });
    right.sessions.waiting.shift()?.(POLLED);
    await settle();
    expect(polled.answer?.status).toBe(200);
    expect(left.relay.size).toBe(0);
  });
});
