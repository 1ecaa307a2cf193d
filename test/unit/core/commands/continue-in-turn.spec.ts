import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../../lib/brokers/memory/index.js';
import type { ErrorBody } from '../../../../lib/protocol/error-body.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { until } from '../../../support/until.js';

const LIMIT_MS = 10_000;
const READ_MS = 3_000;
const CLIENTS = 8;

let harness: EngineHarness;
let reads: number;
afterEach(() => harness.stop());

/** Every read takes this node three seconds, and authorizations answer later: so all but the first wait for their turn. */
async function start(): Promise<FakeConnection[]> {
  reads = 0;
  const clock = new ManualClock();
  const inner = memoryBroker({ store: new MemoryStore({ clock }) });
  const slowly =
    <A extends readonly unknown[], R>(read: (...given: A) => R) =>
    (...given: A): R => {
      reads++;
      clock.advance(READ_MS);
      return read(...given);
    };
  const broker = alteredBroker(inner, {
    log: { read: slowly((request: Parameters<typeof inner.log.read>[0]) => inner.log.read(request)) },
    presence: {
      members: slowly((...given: Parameters<typeof inner.presence.members>) =>
        inner.presence.members(...given),
      ),
    },
  });
  const later = () => settle().then(() => true);
  const behaviour = {
    authorize: { subscribe: later, publish: 'public', history: later, presence: later },
  } as const;
  const heartbeat = { intervalMs: 1e9, timeoutMs: 1e9 };
  harness = await EngineHarness.start([channel('rooms.:room', { policy: { presence: {} }, behaviour })], {
    clock,
    broker,
    settings: { handlerTimeoutMs: LIMIT_MS, heartbeat },
  });
  return await Promise.all(Array.from({ length: CLIENTS }, (_, index) => harness.greet(`user:u${index}`)));
}

describe('a command that waits for its turn', () => {
  it.each(['history', 'presence'])(
    '%s is answered with unavailable after handlerTimeout, and nothing is read for it (G16)',
    async (type) => {
      const clients = await start();
      for (const client of clients) client.take();
      for (const client of clients) client.send({ type, id: 'q', channel: 'rooms.1', payload: {} });
      const answered = (): FakeConnection[] =>
        clients.filter(({ received }) => received.some(({ ref }) => ref === 'q'));
      await until('every answer', () => answered().length === CLIENTS);
      await quiet();
      const answers = clients.map((client) => client.take().filter(({ ref }) => ref === 'q'));
      for (const given of answers) expect(given).toHaveLength(1);
      const errors = answers.flat().filter(({ type: kind }) => kind === 'error');
      expect(errors.length).toBeGreaterThan(0);
      for (const { payload } of errors) {
        expect(payload).toMatchObject({ code: 'unavailable', retryable: true, retryAfterMs: 1_000 });
        expect((payload as ErrorBody).message).toContain('no turn in time');
      }
      expect(reads).toBe(CLIENTS - errors.length);
      // The second time they have it.
      reads = 0;
      clients[CLIENTS - 1]?.send({ type, id: 'again', channel: 'rooms.1', payload: {} });
      await quiet();
      expect(clients[CLIENTS - 1]?.take('reply')).toMatchObject([{ ref: 'again' }]);
      expect(reads).toBe(1);
      expect(harness.errors).toEqual([]);
    },
  );
});
