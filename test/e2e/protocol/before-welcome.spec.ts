import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Authentication } from '../../../lib/core/ports/identity.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireSettings } from '../../support/wire/server.js';

const KB = 1_024;
let server: WireServer;
let clock: ManualClock;
/** Ends the verifications that are under way. */
let verify: (() => void)[] = [];
afterEach(() => server.close());

/** A handler that takes as long as all work of one turn of the event loop may. */
let slow: () => null;

async function start(settings: WireSettings = {}): Promise<void> {
  verify = [];
  clock = new ManualClock();
  server = await startWireServer({
    clock,
    settings,
    channels: [
      wireChannel('rooms.:room', { publish: ['said'] }),
      wireChannel('slow.:room', { behaviour: { publish: new Map([['said', slow]]) } }),
    ],
    authenticator: {
      authenticate: ({ token }) =>
        new Promise<Authentication>((resolve) => verify.push(() => resolve({ user: { id: String(token) } }))),
    },
  });
}

const hello = (user: string) => ({ type: 'hello', id: 'h', payload: { versions: [1], token: user } });
const publish = (id: string, bytes: number, channel = 'rooms.1') => ({
  type: 'publish',
  id,
  channel,
  event: 'said',
  payload: 'x'.repeat(bytes),
});

/** A client that is being verified. */
async function verifying(user: string): Promise<WireClient> {
  const client = await server.open();
  const before = verify.length;
  client.send(hello(user));
  await until('the verification', () => verify.length > before);
  return client;
}

/** Bytes that a client has written and the kernel has not taken. */
const unsent = ({ socket }: WireClient): number =>
  (socket as unknown as { readonly _socket: Socket })._socket.writableLength;

describe('what comes before welcome (P3, G16)', () => {
  it('is read no further than the frame that exceeds 16 KiB, and all of it runs in its order after welcome', async () => {
    await start();
    const client = await verifying('ada');
    const ids = Array.from({ length: 14 }, (_, index) => `p${index}`);
    for (const id of ids) client.send(publish(id, 60_000));
    for (const finish of verify) finish();
    expect((await client.next()).type).toBe('welcome');
    const replies = await client.nextAll(ids.length, 'reply');
    expect(replies.map(({ ref }) => ref)).toEqual(ids);
  });

  it('what is not read stays with the client', async () => {
    await start();
    const client = await verifying('ada');
    // More than kernels keep between two sockets.
    for (let index = 0; index < 250; index++) client.send(publish(`p${index}`, 60_000));
    await server.rest(await server.open());
    expect(unsent(client)).toBeGreaterThan(1_000 * KB);
  });

  it('small commands before welcome run with it', async () => {
    await start();
    const client = await verifying('ada');
    client.sendAll([{ type: 'subscribe', id: 's', channel: 'rooms.1', payload: {} }, publish('p', 10)]);
    for (const finish of verify) finish();
    expect((await client.next()).type).toBe('welcome');
    const answers = await client.nextAll(2, 'reply');
    expect(answers.map(({ ref }) => ref)).toEqual(['s', 'p']);
  });

  it('over all clients it is bounded: the one with most is closed with 4006, which the log says, and the others are served', async () => {
    await start({ limits: { maxUnfinishedBytes: 100 * KB } });
    const small = await verifying('ada');
    small.send(publish('p1', 30 * KB));
    const large = await verifying('mallory');
    large.send(publish('p1', 60 * KB));
    const other = await verifying('bob');
    other.send(publish('p1', 30 * KB));
    expect(await large.expectClose()).toMatchObject({ code: 4006, reason: 'overloaded|1000' });
    for (const finish of verify) finish();
    for (const client of [small, other]) expect((await client.take({ type: 'reply' })).ref).toBe('p1');
    expect(server.records.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(
        /^A connection of address 127\.0\.0\.1 was closed with overloaded: .*maxUnfinishedBytes/,
      ),
    );
  });

  it('what was given back makes room again: at welcome, and at the end of a connection', async () => {
    await start({ limits: { maxUnfinishedBytes: 64 * KB } });
    const served: WireClient[] = [];
    for (let round = 0; round < 3; round++) {
      const client = await verifying(`user-${round}`);
      client.send(publish('p1', 60 * KB));
      verify.at(-1)?.();
      expect((await client.take({ type: 'reply' })).ref).toBe('p1');
      served.push(client);
      const gone = await verifying(`gone-${round}`);
      gone.send(publish('p1', 30 * KB));
      await server.rest(gone);
      gone.terminate();
      verify.at(-1)?.();
    }
    for (const { ended } of served) expect(ended).toBeUndefined();
  });

  it('what takes long of sessions that are welcomed together runs in turns of its own', async () => {
    const handled: number[] = [];
    let turn = 0;
    slow = () => {
      handled.push(turn);
      clock.advance(8);
      return null;
    };
    await start();
    const clients: WireClient[] = [];
    for (const user of ['ada', 'bob', 'eve']) {
      const client = await verifying(user);
      client.send(publish('p1', 30 * KB, 'slow.1'));
      await server.rest(client);
      clients.push(client);
    }
    let over = false;
    const count = (): void => {
      turn++;
      if (!over) setImmediate(count);
    };
    count();
    for (const finish of verify) finish();
    for (const client of clients) await client.take({ type: 'reply' });
    over = true;
    expect(new Set(handled).size).toBe(3);
  });

  it('each command is judged by its own frame, not by the last one before welcome', async () => {
    await start({ limits: { bytesPerSecond: 2 * KB } });
    const client = await verifying('ada');
    client.send(publish('small', 100));
    client.send(publish('large', 8 * KB));
    await server.rest(client);
    for (const finish of verify) finish();
    await client.next('welcome');
    expect((await client.next('reply')).ref).toBe('small');
    await server.rest(await server.open());
    // It waits until there is room for as much as may come at once.
    expect(client.pending).toEqual([]);
    clock.advance(2_000);
    expect((await client.next('reply')).ref).toBe('large');
  });

  it('nor does a small frame excuse the large one before it', async () => {
    await start({ limits: { bytesPerSecond: 2 * KB } });
    const client = await verifying('ada');
    client.send(publish('large', 8 * KB));
    await server.rest(client);
    clock.advance(1_000);
    client.send(publish('small', 100));
    await server.rest(client);
    for (const finish of verify) finish();
    await client.next('welcome');
    expect((await client.next('reply')).ref).toBe('large');
    await server.rest(await server.open());
    expect(client.pending).toEqual([]);
    clock.advance(3_000);
    expect((await client.next('reply')).ref).toBe('small');
  });
});
