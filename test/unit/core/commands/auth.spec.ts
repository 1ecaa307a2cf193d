import { afterEach, describe, expect, it } from '@jest/globals';
import type { Authentication } from '../../../../lib/core/ports/identity.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';

const MINUTE = 60_000;

let harness: EngineHarness;
/** Verifications under way, by their token. */
let open: Map<string, { accept(minutes: number): void; refuse(): void }>;
afterEach(() => harness.stop());

/** Tokens that begin with `slow` are decided by the test; `fast:<minutes>` are accepted at once, `bad` is refused. */
async function start(settings: object = {}): Promise<FakeConnection> {
  open = new Map();
  harness = await EngineHarness.start([channel('rooms.:room')], {
    settings: { heartbeat: { intervalMs: 1e9, timeoutMs: 1e9 }, ...settings },
    authenticator: {
      authenticate({ token = '' }) {
        const valid = (minutes: number): Authentication => ({
          user: { id: 'ada' },
          expiresAt: harness.clock.now() + minutes * MINUTE,
        });
        if (token === 'bad') throw new RealtimeError('unauthorized');
        if (!token.startsWith('slow')) return valid(Number(token.split(':')[1] ?? 1));
        return new Promise((resolve, reject) =>
          open.set(token, {
            accept: (minutes) => resolve(valid(minutes)),
            refuse: () => reject(new RealtimeError('unauthorized')),
          }),
        );
      },
    },
  });
  const client = await harness.greet('fast:1');
  client.take();
  return client;
}

const auth = (id: string, token: string) => ({ type: 'auth', id, payload: { token } });
const answers = (client: FakeConnection) =>
  client
    .take()
    .flatMap(({ type, ref, payload }) =>
      type === 'reply' || type === 'error'
        ? [
            [
              ref,
              (payload as { code?: string; expiresInMs?: number }).code ??
                (payload as { expiresInMs?: number }).expiresInMs,
            ],
          ]
        : [],
    );

describe('auth commands are answered in their order, and the last that was accepted counts (G12)', () => {
  it('a fast verification waits for a slow one before it', async () => {
    const client = await start();
    client.send(auth('a1', 'slow'), auth('a2', 'fast:30'));
    await quiet();
    expect(answers(client)).toEqual([]);
    open.get('slow')?.accept(2);
    await quiet();
    expect(answers(client)).toEqual([
      ['a1', 2 * MINUTE],
      ['a2', 30 * MINUTE],
    ]);
    // The older token has expired by then; the connection lives by the newer one.
    harness.clock.advance(10 * MINUTE);
    await quiet();
    expect(client.closed).toBeUndefined();
  });

  it('a token that is refused, sync or async, replaces none and stops none behind it', async () => {
    const client = await start();
    client.send(
      auth('a1', 'bad'),
      auth('a2', 'slow1'),
      auth('a3', 'bad'),
      auth('a4', 'fast:5'),
      auth('a5', 'bad'),
    );
    await quiet();
    open.get('slow1')?.refuse();
    await quiet();
    expect(answers(client)).toEqual([
      ['a1', 'unauthorized'],
      ['a2', 'unauthorized'],
      ['a3', 'unauthorized'],
      ['a4', 5 * MINUTE],
      ['a5', 'unauthorized'],
    ]);
    harness.clock.advance(4 * MINUTE);
    await quiet();
    expect(client.closed).toBeUndefined();
  });

  it('one that hangs is answered with timeout, and those behind it are verified then', async () => {
    const client = await start({ handlerTimeoutMs: 10_000 });
    client.send(auth('a1', 'slow'), auth('a2', 'fast:30'));
    harness.clock.advance(10_000);
    await quiet();
    expect(answers(client)).toEqual([
      ['a1', 'timeout'],
      ['a2', 30 * MINUTE],
    ]);
    // Accepted too late: it replaces nothing.
    open.get('slow')?.accept(1);
    await quiet();
    harness.clock.advance(5 * MINUTE);
    await quiet();
    expect(client.closed).toBeUndefined();
  });

  it('those of a connection that ended are not verified any more', async () => {
    const client = await start();
    client.send(auth('a1', 'slow1'), auth('a2', 'slow2'));
    await quiet();
    client.drop();
    open.get('slow1')?.accept(1);
    await quiet();
    expect([...open.keys()]).toEqual(['slow1']);
  });
});
