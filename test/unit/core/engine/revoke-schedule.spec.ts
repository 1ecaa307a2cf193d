// A revoke between each question that a command asks and its effect, and before an answer that waits has left.
import { afterEach, describe, expect, it } from '@jest/globals';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';

/** A question that a test answers by hand. */
type Answer = () => void;

let harness: EngineHarness;
afterEach(() => harness.stop());

/** Whether authorizations wait for the test, and what waits. */
let isGated = false;
let waiting: Answer[] = [];
/** Handlers of the application that ran. */
let ran: string[] = [];

const gate = (): true | Promise<true> =>
  isGated ? new Promise<true>((resolve) => waiting.push(() => resolve(true))) : true;

async function start(): Promise<FakeConnection> {
  isGated = false;
  waiting = [];
  ran = [];
  const authorize = {
    subscribe: gate,
    publish: gate,
    signal: gate,
    request: gate,
    history: gate,
    presence: gate,
  };
  harness = await EngineHarness.start([
    channel('rooms.:room', {
      policy: { presence: { graceMs: 0 } },
      behaviour: {
        signals: new Set(['typing']),
        authorize,
        publish: new Map([['said', ({ payload }) => (ran.push('publish'), payload)]]),
        requests: new Map([['ask', () => (ran.push('request'), 'secret')]]),
      },
    }),
  ]);
  return harness.greet('user:ada');
}

const COMMANDS: readonly (readonly [string, object, boolean])[] = [
  ['subscribe', { type: 'subscribe' }, false],
  ['history', { type: 'history' }, false],
  ['presence', { type: 'presence' }, false],
  ['request', { type: 'request', event: 'ask' }, false],
  ['publish', { type: 'publish', event: 'said', payload: 1 }, false],
  ['signal', { type: 'signal', event: 'typing', payload: 1 }, true],
];

describe('a revoke while a command waits for its authorization (G11)', () => {
  it.each(COMMANDS)(
    '%s is refused, no handler runs, and nothing happens',
    async (_name, command, isSubscribed) => {
      const ada = await start();
      const eve = await harness.greet('user:eve');
      for (const client of isSubscribed ? [ada, eve] : [eve])
        client.send({ type: 'subscribe', id: 's', channel: 'rooms.1' });
      await quiet();
      const { seq } = (await harness.engine.application.history('rooms.1')).position;
      ada.take();
      eve.take();
      isGated = true;
      ada.send({ id: 'c', channel: 'rooms.1', ...command });
      await quiet();
      expect(waiting).toHaveLength(1);
      await harness.engine.revoke('ada', 'rooms.1');
      // One question may follow another: who subscribes is also asked about the members.
      while (waiting.length > 0) {
        for (const answer of waiting.splice(0)) answer();
        await quiet();
      }
      const received = ada.take().filter(({ type }) => type !== 'unsubscribed');
      expect(received.map(({ ref, payload }) => [ref, (payload as { code?: string }).code])).toEqual([
        ['c', isSubscribed ? expect.stringMatching(/^(forbidden|not_subscribed)$/) : 'forbidden'],
      ]);
      expect(ran).toEqual([]);
      // Of a member that is gone the others are told.
      expect(eve.take().filter(({ type }) => type !== 'presence')).toEqual([]);
      expect((await harness.engine.application.history('rooms.1')).position.seq).toBe(seq);
    },
  );
});

describe('a revoke while an answer waits behind a slow socket (G11)', () => {
  it.each([
    ['request', { type: 'request', event: 'ask' }],
    ['history', { type: 'history' }],
    ['presence', { type: 'presence' }],
  ])('the answer to %s is withdrawn, and the command is answered with forbidden', async (_name, command) => {
    const ada = await start();
    await harness.engine.application.publish('rooms.1', 'said', 'secret');
    const eve = await harness.greet('user:eve');
    eve.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload: { presence: { data: 'secret' } } });
    await quiet();
    ada.take();
    ada.stall();
    // The first takes the socket; what comes behind it waits in the queue.
    ada.send({ type: 'history', id: 'first', channel: 'rooms.2' });
    await quiet();
    ada.send({ id: 'c', channel: 'rooms.1', ...command });
    await quiet();
    await harness.engine.revoke('ada', 'rooms.1');
    await quiet();
    ada.drain();
    await quiet();
    const received = ada.take();
    expect(JSON.stringify(received)).not.toContain('secret');
    const [answer] = received.filter(({ ref }) => ref === 'c');
    expect(answer).toMatchObject({ type: 'error', payload: { code: 'forbidden' } });
  });
});
