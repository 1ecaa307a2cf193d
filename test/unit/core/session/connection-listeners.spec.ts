import { afterEach, describe, expect, it } from '@jest/globals';
import type {
  ConnectionListener,
  RealtimeConnection,
} from '../../../../lib/core/ports/realtime-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { settle } from '../../../support/engine/manual-clock.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

const fail = (): never => {
  throw new Error('a listener failed');
};
const failLater = (): Promise<never> => settle().then(fail);
const FORMS: readonly (readonly [string, () => void])[] = [
  ['throws', fail],
  ['rejects', failLater],
];

/** Notes what it is told. */
function listener(notes: string[], name: string, at: Partial<ConnectionListener> = {}): ConnectionListener {
  return {
    opened: (connection) => {
      notes.push(`${name} opened`);
      return at.opened?.(connection);
    },
    closed: (connection, code) => {
      notes.push(`${name} closed ${code}`);
      return at.closed?.(connection, code);
    },
  };
}

async function start(): Promise<string[]> {
  harness = await EngineHarness.start([channel('rooms.:room')]);
  return [];
}

describe('listeners of connections', () => {
  it.each(FORMS)(
    'one whose closed() %s harms nothing: the socket closes, and the others are notified',
    async (_, closed) => {
      const notes = await start();
      harness.engine.addConnectionListener(listener(notes, 'first', { closed }));
      harness.engine.addConnectionListener(listener(notes, 'second'));
      const kicked = await harness.subscriber('rooms.1', 'user:ada');
      await harness.engine.disconnect('ada');
      await quiet();
      expect(kicked.closed?.code).toBe(4811);
      expect(harness.engine.status.sessions).toBe(0);
      expect(notes).toEqual(['first opened', 'second opened', 'first closed 4811', 'second closed 4811']);
      // The second time too, which is not logged again.
      const lost = await harness.greet('user:ada');
      lost.drop();
      await quiet();
      expect(harness.engine.status.sessions).toBe(0);
      expect(harness.errors).toEqual([new Error('a listener failed')]);
    },
  );

  it.each(FORMS)('one whose opened() %s harms nothing: what was sent with hello runs', async (_, opened) => {
    const notes = await start();
    harness.engine.addConnectionListener(listener(notes, 'first', { opened }));
    harness.engine.addConnectionListener(listener(notes, 'second'));
    const client = harness.connect();
    client.send(
      { type: 'hello', id: 'h', payload: { versions: [1], token: 'user:ada' } },
      { type: 'subscribe', id: 's', channel: 'rooms.1' },
    );
    await quiet();
    expect(client.take().map(({ type, ref }) => [type, ref])).toEqual([
      ['welcome', 'h'],
      ['reply', 's'],
    ]);
    expect(notes).toEqual(['first opened', 'second opened']);
    expect(harness.errors).toEqual([new Error('a listener failed')]);
  });

  it('opened comes before closed for each, also where one ends the connection at once', async () => {
    const notes = await start();
    const opened = (connection: RealtimeConnection): void => connection.disconnect();
    harness.engine.addConnectionListener(listener(notes, 'first', { opened }));
    harness.engine.addConnectionListener(listener(notes, 'second'));
    const client = harness.connect();
    client.send(
      { type: 'hello', id: 'h', payload: { versions: [1], token: 'user:ada' } },
      { type: 'subscribe', id: 's', channel: 'rooms.1' },
    );
    await quiet();
    expect(client.closed?.code).toBe(4811);
    expect(notes).toEqual(['first opened', 'second opened', 'first closed 4811', 'second closed 4811']);
    expect(client.take('reply')).toEqual([]);
  });

  it('one that was removed is notified of nothing, and one that was added later only of what follows', async () => {
    const notes = await start();
    const remove = harness.engine.addConnectionListener(listener(notes, 'first'));
    const client = await harness.greet('user:ada');
    remove();
    harness.engine.addConnectionListener(listener(notes, 'second'));
    client.drop();
    await quiet();
    expect(notes).toEqual(['first opened', 'second closed 1006']);
  });
});
