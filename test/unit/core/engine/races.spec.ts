import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { lossyBroker } from '../../../support/fault/lossy-broker.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

/** Something that hangs until the test lets it go. */
function gate<T = void>(): { readonly opened: Promise<T>; open(value: T): void } {
  let open!: (value: T) => void;
  const opened = new Promise<T>((resolve) => (open = resolve));
  return { opened, open };
}

function hello(token?: string): FakeConnection {
  const connection = harness.connect();
  connection.send({ type: 'hello', id: 'h', payload: { versions: [1], token } });
  return connection;
}

describe('races with an authentication in progress', () => {
  it.each([
    ['ban', 4803],
    ['disconnect', 4811],
  ] as const)('a %s wins over a connect guard that has not decided yet (G16)', async (act, code) => {
    const guard = gate();
    harness = await EngineHarness.start([channel('rooms.:room')], { onConnect: () => guard.opened });
    const ada = hello('user:ada');
    await quiet();
    expect(harness.engine.sessionsOf('ada')).toEqual([]);
    await harness.engine[act]('ada');
    guard.open();
    await quiet();
    expect(ada.closed?.code).toBe(code);
    expect(ada.take('welcome')).toEqual([]);
  });

  it('connections of one address that are verified at the same time stay within its limit (G17)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      settings: { limits: { maxConnectionsPerAddress: 2 } },
    });
    const connections = [1, 2, 3].map(() => harness.connect());
    expect(connections.map(({ closed }) => closed?.code)).toEqual([undefined, undefined, 4009]);
  });

  it('connections that are verified at the same time stay within the limit of the node (G17)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      settings: { limits: { maxConnections: 2 } },
    });
    const connections = [1, 2, 3].map(() => harness.connect());
    expect(connections.map(({ closed }) => closed?.code)).toEqual([undefined, undefined, 4006]);
  });
});

describe('races with the end of a subscription', () => {
  it.each(['history', 'presence'])(
    'a %s whose lease expires during the read is not answered (G11)',
    async (type) => {
      const memory = memoryBroker();
      const page = gate();
      const broker = lossyBroker(
        alteredBroker(memory, {
          presence: {
            members: async (...args) => {
              await page.opened;
              return memory.presence.members(...args);
            },
          },
        }),
      );
      let allowed = true;
      harness = await EngineHarness.start(
        [
          channel('rooms.:room', {
            policy: { presence: { graceMs: 0 } },
            behaviour: { authorize: { subscribe: () => allowed && { forMs: 1_000 } } },
          }),
        ],
        { broker },
      );
      const ada = await harness.greet('user:ada');
      ada.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload: { presence: { receive: false } } });
      await quiet();
      await harness.publish('rooms.1', 3);
      broker.onRead = async (_request, result) => {
        await page.opened;
        return result;
      };
      ada.take();
      ada.send({ type, id: 'q', channel: 'rooms.1', payload: {} });
      await quiet();
      allowed = false;
      harness.clock.advance(1_000);
      await quiet();
      page.open();
      await quiet();
      const answers = ada
        .take()
        .map(({ type: kind, ref, payload }) => [kind, ref, (payload as RealtimeError).code]);
      expect(answers).toEqual([
        ['unsubscribed', undefined, 'forbidden'],
        ['error', 'q', 'not_subscribed'],
      ]);
    },
  );

  it.each(['signal', 'request'])('a revoke wins over a pending authorization of a %s (G11)', async (type) => {
    const decision = gate<boolean>();
    const ran: string[] = [];
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: {
          authorize: {
            subscribe: 'public',
            signal: () => decision.opened,
            request: () => decision.opened,
          },
          requests: new Map([['typing', () => void ran.push('request')]]),
        },
      }),
    ]);
    const eve = await harness.subscriber('rooms.1', 'user:eve');
    const ada = await harness.subscriber('rooms.1', 'user:ada');
    ada.send({ type, id: 'q', channel: 'rooms.1', event: 'typing' });
    await quiet();
    await harness.engine.revoke('ada', 'rooms.1');
    decision.open(true);
    await quiet();
    expect(ada.take('error')).toMatchObject([{ ref: 'q', payload: { code: 'forbidden' } }]);
    expect(eve.take()).toEqual([]);
    expect(ran).toEqual([]);
  });

  it('a lease that expires while the node drains calls no authorization, and revokes nothing', async () => {
    let asked = 0;
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: {
          authorize: {
            subscribe: () => {
              if (asked++ === 0) return { forMs: 1_000 };
              throw new Error('The database is closed already');
            },
          },
        },
      }),
    ]);
    const ada = await harness.subscriber('rooms.1', 'user:ada');
    harness.engine.beginDrain();
    harness.clock.advance(1_000);
    await quiet();
    expect(asked).toBe(1);
    expect(ada.take()).toEqual([]);
  });
});

describe('presence and a connection that is lost while it subscribes', () => {
  it('a short disconnect while resubscribing causes neither leave nor join (G19)', async () => {
    const memory = memoryBroker();
    const snapshot = gate();
    let slow = false;
    harness = await EngineHarness.start(
      [
        channel('rooms.:room', {
          policy: { presence: { graceMs: 10_000 } },
          behaviour: { snapshot: { shareable: false, run: async () => ({ state: 1 }) } },
        }),
      ],
      {
        broker: alteredBroker(memory, {
          presence: {
            members: async (...args) => {
              if (slow) await snapshot.opened;
              return memory.presence.members(...args);
            },
          },
        }),
      },
    );
    const watcher = await harness.subscriber('rooms.1', 'user:eve');
    const first = await harness.greet('user:ada');
    const ticket = (first.received.find(({ type }) => type === 'welcome')?.payload as { session: string })
      .session;
    first.send({ type: 'subscribe', id: 's', channel: 'rooms.1' });
    await quiet();
    watcher.take();
    const second = await harness.greet('user:ada', ticket);
    slow = true;
    second.send({ type: 'subscribe', id: 's', channel: 'rooms.1' });
    await quiet();
    second.drop();
    slow = false;
    snapshot.open();
    await quiet();
    expect(watcher.take('presence')).toEqual([]);
  });
});

describe('a dropped tail and the next batch', () => {
  it('the gap precedes the events after it, also within one turn (P25)', async () => {
    harness = await EngineHarness.start(
      [
        channel('rooms.:room', {
          policy: { overflow: 'drop-newest', presence: { graceMs: 0 } },
        }),
      ],
      { settings: { outbox: { maxBytes: 2_000 } } },
    );
    const ada = await harness.greet('user:ada');
    ada.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload: { presence: { receive: false } } });
    await quiet();
    ada.take();
    const { presence } = harness.broker;
    const enter = (device: string): Promise<void> =>
      presence.enter({ channel: 'rooms.1', member: 'eve', device, generation: 1 }, 30_000);
    ada.stall();
    await harness.publish('rooms.1');
    await harness.engine.application.publish('rooms.1', 'said', 'x'.repeat(5_000));
    await quiet();
    ada.drain();
    // A diff hands out what came before it, in the middle of the turn.
    await enter('one');
    await harness.engine.application.publish('rooms.1', 'said', 'small');
    await enter('two');
    await quiet();
    expect(ada.take().map(({ type, seq }) => [type, seq])).toEqual([
      ['event', 1],
      ['gap', undefined],
      ['event', 3],
    ]);
  });
});
