import { afterEach, describe, expect, it } from '@jest/globals';
import { tryStream } from '../../../../lib/client/http/stream-trial.js';
import { settle } from '../../../support/engine/manual-clock.js';
import { FallbackHarness } from './harness.js';
import type { HttpCall } from './scripted-fetch.js';

const PATIENT = { heartbeat: { intervalMs: 36_000_000, timeoutMs: 10_000 } };

let h: FallbackHarness;
afterEach(() => {
  void h.client.close();
});

/** The session is by polls, since a stream was gathered; its poll, and the trial of a stream behind it. */
async function tried(): Promise<{ poll: HttpCall; trial: HttpCall }> {
  h = new FallbackHarness({}, { transports: ['sse', 'polling'] });
  void h.client.connect();
  (await h.http.next('sse')).stream();
  await h.pass(5_000);
  await h.again();
  await h.http.polls(PATIENT);
  await h.state('live');
  const poll = await h.http.next('poll');
  await h.pass(45_000);
  return { poll, trial: await h.http.next('sse') };
}

const states = (): number => h.states.filter(({ state }) => state === 'waiting').length;

describe('an event stream that is tried from polls (P21k)', () => {
  it('carries no session and no token, and the session is handed over once it got through', async () => {
    const { poll, trial } = await tried();
    expect([trial.request.body, trial.url]).toEqual(['[]', 'https://a.example/rt/sse']);
    expect(trial.headers).toEqual({ 'content-type': 'application/json', accept: 'text/event-stream' });
    const stream = trial.stream();
    await h.pass(1_000);
    stream.write(':\n\n');
    await h.pass(499);
    expect([h.client.state, poll.isAborted, trial.isAborted]).toEqual(['live', false, false]);
    await h.pass(1);
    expect(trial.isAborted).toBe(true);
    await h.http.stream(PATIENT);
    await h.state('live');
    expect(h.client.status.transport).toBe('sse');
    expect(poll.isAborted).toBe(true);
    const { commands } = h.http.calls.filter(({ name }) => name === 'sse').at(-1) as HttpCall;
    expect(commands[0]).toMatchObject({ type: 'hello', payload: { session: 'ticket-1' } });
    expect(h.clock.pending).toBeLessThan(5);
  });

  it.each([
    [
      'its bytes come with its end',
      (trial: HttpCall) => {
        const stream = trial.stream();
        stream.write(':\n\n');
        stream.end();
      },
    ],
    [
      'its end comes too soon behind its bytes',
      (trial: HttpCall) => {
        const stream = trial.stream();
        stream.write(':\n\n');
        h.clock.schedule(400, () => stream.end());
      },
    ],
    [
      'it is cut behind its bytes',
      (trial: HttpCall) => {
        const stream = trial.stream();
        stream.write(':\n\n');
        h.clock.schedule(100, () => stream.fail());
      },
    ],
    ['nothing comes', (trial: HttpCall) => void trial.stream()],
    ['it ends without a byte', (trial: HttpCall) => trial.stream().end()],
    ['an older server refuses it', (trial: HttpCall) => trial.refuse(400)],
    ['there is no room', (trial: HttpCall) => trial.refuse(429, { retryAfterMs: 2_000 })],
    [
      'a page to log in is the answer',
      (trial: HttpCall) => trial.stream({ 'content-type': 'text/html' }).write('<html>'),
    ],
    ['a proxy asks for a password', (trial: HttpCall) => trial.answer(407, '<html>')],
    ['it is redirected', (trial: HttpCall) => trial.answer(0)],
    ['the network fails', (trial: HttpCall) => trial.fail()],
    ['the platform reads no streams', (trial: HttpCall) => trial.bodiless()],
  ])('leaves the session as it is where %s, and is tried again later', async (_what, spoil) => {
    const { poll, trial } = await tried();
    const before = states();
    spoil(trial);
    await h.pass(10_000);
    expect([h.client.state, h.client.status.transport, poll.isAborted]).toEqual(['live', 'polling', false]);
    expect(trial.isAborted).toBe(true);
    expect(states()).toBe(before);
    // Twice the wait.
    await h.pass(75_000);
    expect(h.http.count('sse')).toBe(2);
    await h.pass(20_000);
    expect(h.http.count('sse')).toBe(3);
    expect(h.client.state).toBe('live');
  });

  it('proves nothing where the page stood still while it ran', async () => {
    h = new FallbackHarness();
    const results: boolean[] = [];
    let late = 0;
    // A frozen page runs its timers when it wakes.
    const clock = { monotonic: () => h.clock.monotonic() + late, schedule: h.clock.schedule.bind(h.clock) };
    const deps = { fetch: h.http.fetch, credentials: 'omit', clock } as const;
    tryStream(deps, 'https://a.example/rt/sse', 5_000, (gotThrough) => results.push(gotThrough));
    const trial = await h.http.next('sse');
    trial.stream().write(':\n\n');
    await settle();
    late = 500;
    await h.pass(500);
    expect([results, trial.isAborted]).toEqual([[false], true]);
  });

  it('waits for the answer of a command before the session is handed over', async () => {
    const { poll, trial } = await tried();
    const answer = h.client.request('slow', undefined, { timeoutMs: 300_000 });
    const call = await h.http.next('send');
    call.answer(202);
    trial.stream().write(':\n\n');
    await settle();
    await h.pass(600);
    expect(h.http.count('sse')).toBe(2);
    poll.messages(2, { type: 'reply', ref: call.commands[0]?.id, payload: 1 });
    expect(await answer).toBe(1);
    await h.again();
    await h.http.stream(PATIENT);
    await h.state('live');
  });

  it('ends with the session that it was to replace', async () => {
    const { trial } = await tried();
    trial.stream().write(':\n\n');
    await settle();
    void h.client.close();
    (await h.http.next('send')).answer(202);
    await h.state('closed');
    expect(trial.isAborted).toBe(true);
    await h.pass(60_000);
    expect(h.http.count('sse')).toBe(2);
  });

  it('that got through, and then carries no session, leads back to polls, and makes the waits longer', async () => {
    const { trial } = await tried();
    trial.stream().write(':\n\n');
    await settle();
    await h.pass(500);
    (await h.http.next('sse')).stream();
    await h.pass(5_000);
    await h.again();
    await h.http.polls(PATIENT);
    await h.state('live');
    expect(h.client.status.transport).toBe('polling');
    await h.pass(170_000);
    expect(h.http.count('sse')).toBe(3);
    await h.pass(25_000);
    expect(h.http.count('sse')).toBe(4);
  });
});
