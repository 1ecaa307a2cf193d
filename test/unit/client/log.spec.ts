import { afterEach, describe, expect, it } from '@jest/globals';
import type { RealtimeClientOptions } from '../../../lib/client/options.js';
import { watchUncaught } from '../../support/real-process.js';
import { collectGarbage } from '../../support/real-process.js';
import { Harness } from './harness.js';

let harness: Harness | undefined;

/** A client, and the lines of its log. */
const start = async (options: RealtimeClientOptions = {}) => {
  const lines: [level: string, message: string, data: unknown][] = [];
  harness = await Harness.start({ log: (...line) => void lines.push(line as never), ...options });
  const text = () => lines.map(([level, message]) => `${level} ${message}`);
  return { h: harness, lines, text };
};

afterEach(() => harness?.stop());

describe('the log of a client', () => {
  it('has a line for each attempt, wait and end, with the reason and the status', async () => {
    const { h, lines, text } = await start();
    const connection = await h.live();
    connection.close(4006, 'overloaded|700');
    await h.back();
    await h.client.close();
    expect(text()).toEqual([
      'info connecting, attempt 1',
      'info live',
      'warn waiting, attempt 1, the next in 1700 ms: 4006 ' + String(h.states[2]?.reason),
      'info connecting, attempt 2',
      'info live',
      'info closed: 1000 normal',
    ]);
    expect(lines.map(([, , data]) => data)).toEqual(h.states);
  });

  it('names the address that cannot be reached, and the cause; the state does too', async () => {
    const { h, text } = await start();
    const { url } = h.server;
    await h.server.stop();
    void h.client
      .channel('rooms.1')
      .subscribe()
      .catch(() => undefined);
    await h.state('waiting');
    const reason = `${url} cannot be reached: connect ECONNREFUSED ${new URL(url).host}`;
    expect(h.client.status.reason).toBe(reason);
    expect(text().at(-1)).toBe(`warn waiting, attempt 1, the next in 250 ms: 1006 ${reason}`);
  });

  it('has what stops the client for good as an error, and the cause in the status', async () => {
    const why = new Error('no token today');
    const { h, text } = await start({
      token: () => {
        throw why;
      },
    });
    void h.client.connect().catch(() => undefined);
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ reason: 'No token: no token today', cause: why });
    h.client.retryNow();
    expect(text().slice(0, 3)).toEqual([
      'info connecting, attempt 1',
      'error token: Error: no token today',
      'warn waiting, attempt 1, the next in 250 ms: No token: no token today',
    ]);
    await h.state('waiting');
  });

  it('gives a reason for every loss', async () => {
    const { h } = await start();
    (await h.live()).terminate();
    await h.state('waiting');
    expect(h.client.status.reason).toBe('The connection broke');
  });
});

describe('the error of a command', () => {
  it('names its channel and event, on whichever side it was refused', async () => {
    const { h, text } = await start({ maxPendingCommands: 2, requestTimeoutMs: 1_000 });
    const connection = await h.live({ limits: { maxMessageBytes: 500 } });
    const room = h.client.channel('rooms.1');
    const errorOf = (promise: Promise<unknown>) => promise.catch((error: unknown) => error);
    const asked = errorOf(room.request('rename'));
    connection.error(await connection.expectCommand('request'), 'forbidden', { message: 'Not you' });
    expect(await asked).toMatchObject({ message: 'Not you', channel: 'rooms.1', event: 'rename' });
    expect(text().at(-1)).toBe('warn request "rename" on rooms.1: Not you');
    const published = errorOf(room.publish('said', 1));
    connection.error(await connection.expectCommand('publish'), 'forbidden', { message: 'Nor there' });
    expect(await published).toMatchObject({ message: 'Nor there', channel: 'rooms.1', event: 'said' });
    expect(text().at(-1)).toBe('warn publish "said" on rooms.1: Nor there');
    expect(await errorOf(room.request('big', 'x'.repeat(600)))).toMatchObject({
      code: 'message_too_large',
      event: 'big',
    });
    const late = errorOf(h.client.request('slow'));
    const history = errorOf(room.history());
    expect(await errorOf(room.request('more'))).toMatchObject({ code: 'rate_limited', event: 'more' });
    h.clock.advance(1_000);
    expect(await late).toMatchObject({ code: 'outcome_unknown', event: 'slow' });
    expect(await history).toMatchObject({
      message: 'history on rooms.1 was not answered within 1000 ms',
      channel: 'rooms.1',
    });
  });
});

describe('promises that nobody awaits', () => {
  it('cause no unhandled rejection for what the application itself asked for, nor for a signal', async () => {
    const uncaught = watchUncaught();
    try {
      const { h, text } = await start();
      const room = h.client.channel('rooms.1');
      void h.client.connect();
      void h.client.me;
      void room.subscribe();
      void room.publish('a');
      void room.request('b');
      void h.client.close();
      const connection = await h.live();
      void room.signal('typing');
      connection.error(await connection.expectCommand('signal'), 'forbidden', { message: 'Silence' });
      await connection.sync();
      expect(text().at(-1)).toBe('warn signal "typing" on rooms.1: Silence');
      void room.signal('typing');
      void h.client.close();
      void room.signal('typing');
      await collectGarbage();
      expect(uncaught.errors).toEqual([]);
    } finally {
      uncaught.stop();
    }
  });
});
