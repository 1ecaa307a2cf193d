import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireCluster, type WireCluster } from '../../support/wire/cluster.js';
import type { WireServer } from '../../support/wire/server.js';

const GRACE_MS = 5_000;

let cluster: WireCluster;
let left: WireServer;
let right: WireServer;
let hooks: string[];
afterEach(() => cluster.close());

async function start(graceMs = GRACE_MS): Promise<void> {
  hooks = [];
  const note = (what: string) => (call: { user: { id: string } | undefined; channel: string }) =>
    void hooks.push(`${what} ${call.user?.id} ${call.channel}`);
  cluster = await startWireCluster(2, {
    channels: [
      wireChannel('rooms.:room', {
        presence: { graceMs },
        publish: ['said'],
        behaviour: { onSubscribe: note('on'), onUnsubscribe: note('off') },
      }),
    ],
    settings: { anonymous: true },
  });
  [left, right] = cluster.nodes as [WireServer, WireServer];
}

/** Comes back with a ticket; the newer connection of the same session. */
async function comeBack(node: WireServer, ticket: string, token?: string): Promise<WireClient> {
  const client = await node.open();
  await client.hello(token, { session: ticket });
  return client;
}
const ticketOf = (client: WireClient): string => client.welcome?.session as string;
const diffsOf = (client: WireClient) =>
  client.received.filter(({ type }) => type === 'presence').map(({ payload }) => payload);
const membersOf = async (client: WireClient) =>
  (
    (await client.reply({ type: 'presence', channel: 'rooms.1' }))['members'] as {
      id: string;
      devices: number;
    }[]
  )
    .map(({ id, devices }) => `${id}:${devices}`)
    .sort();

describe('takeover (P28)', () => {
  it.each(['the same node', 'another node'])(
    'on %s the older connection is closed with 4810; neither hooks nor presence notice (P28, G19)',
    async (where) => {
      await start();
      const watcher = await left.connect('eve');
      await watcher.subscribe('rooms.1');
      const older = await left.connect('ada');
      await older.subscribe('rooms.1', { presence: { data: { mood: 'calm' } } });
      await watcher.take({ type: 'presence' });
      hooks.length = 0;
      const newer = await comeBack(where === 'the same node' ? left : right, ticketOf(older), 'ada');
      expect(await older.expectClose()).toEqual({ code: 4810, reason: 'superseded|0' });
      await newer.subscribe('rooms.1');
      expect(await membersOf(watcher)).toEqual(['ada:1', 'eve:1']);
      await watcher.call({ type: 'ping' });
      expect(watcher.pending).toEqual([]);
      // On the same node the hooks see one subscription; on another one it ends at the older and begins at the newer.
      expect(hooks).toEqual(where === 'the same node' ? [] : ['off ada rooms.1', 'on ada rooms.1']);
      // It works: what the newer one publishes and is sent is as ever.
      await newer.reply({ type: 'publish', channel: 'rooms.1', event: 'said', payload: 1 });
      expect(await watcher.next('event')).toMatchObject({ user: 'ada' });
    },
  );

  it('a chain of takeovers across both nodes leaves one connection, one member and one device (P28)', async () => {
    await start();
    const watcher = await right.connect('eve');
    await watcher.subscribe('rooms.1');
    let client = await left.connect('ada');
    await client.subscribe('rooms.1');
    for (let round = 0; round < 8; round++) {
      const older = client;
      client = await comeBack(round % 3 === 0 ? left : right, ticketOf(older), 'ada');
      await older.expectClose(4810);
      await client.subscribe('rooms.1');
    }
    expect(await membersOf(watcher)).toEqual(['ada:1', 'eve:1']);
    expect(left.engine.status.sessions + right.engine.status.sessions).toBe(2);
    await watcher.call({ type: 'ping' });
    expect(diffsOf(watcher).flatMap(({ leave }) => leave as string[])).toEqual([]);
  });

  it('of two connections with one ticket, the later takes over the earlier (P28)', async () => {
    await start();
    const first = await left.connect('ada');
    const both = await Promise.all([left.open(), left.open()]);
    // The earlier one may be closed before its welcome.
    await Promise.allSettled(both.map((client) => client.hello('ada', { session: ticketOf(first) })));
    await first.expectClose(4810);
    await until('one of them to be closed', () => both.some((client) => client.ended !== undefined));
    expect(both.filter((client) => client.ended !== undefined)).toHaveLength(1);
    expect(left.engine.status.sessions).toBe(1);
  });

  it.each([
    ['of another user', (ticket: string) => ({ token: 'eve', ticket })],
    ['of a user, presented by an anonymous client', (ticket: string) => ({ token: undefined, ticket })],
    ['whose signature is wrong', (ticket: string) => ({ token: 'ada', ticket: `${ticket.slice(0, -3)}abc` })],
    ['whose content was changed', (ticket: string) => ({ token: 'ada', ticket: `X${ticket}` })],
    ['without content', () => ({ token: 'ada', ticket: '.' })],
  ])('a ticket %s takes over nothing, and does not prevent a resume (P28b)', async (_, forge) => {
    await start();
    const first = await left.connect('ada');
    const { position } = await first.subscribe('rooms.1');
    await left.engine.application.publish('rooms.1', 'said', 1);
    const { token, ticket } = forge(ticketOf(first));
    const thief = await comeBack(left, ticket, token);
    expect(await thief.subscribe('rooms.1', { position })).toMatchObject({ recovery: 'complete' });
    expect((await thief.next('event')).seq).toBe(1);
    expect((await first.call({ type: 'ping' })).type).toBe('pong');
  });

  it('a lost connection is taken over as well: nobody sees a leave within the grace period (P28)', async () => {
    await start();
    const watcher = await left.connect('eve');
    await watcher.subscribe('rooms.1');
    const client = await left.connect('ada');
    await client.subscribe('rooms.1');
    await watcher.take({ type: 'presence' });
    client.terminate();
    await until('the session to end', () => left.engine.status.sessions === 1);
    const back = await comeBack(right, ticketOf(client), 'ada');
    await back.subscribe('rooms.1');
    expect(await membersOf(watcher)).toEqual(['ada:1', 'eve:1']);
    await watcher.call({ type: 'ping' });
    expect(watcher.pending).toEqual([]);
  });

  it('an anonymous client is recognized by its ticket (P28f)', async () => {
    await start();
    const first = await left.connect();
    const member = ((await first.subscribe('rooms.1'))['presence'] as { members: { id: string }[] })
      .members[0]?.id;
    const back = await comeBack(right, ticketOf(first));
    await first.expectClose(4810);
    await back.subscribe('rooms.1');
    expect(await membersOf(back)).toEqual([`${member}:1`]);
  });

  it('tickets are opaque, different for each connection, and no credential (P28a)', async () => {
    await start();
    const first = await left.connect('ada');
    const second = await comeBack(left, ticketOf(first), 'ada');
    expect(ticketOf(second)).not.toBe(ticketOf(first));
    const nobody = await comeBack(left, ticketOf(second));
    expect(nobody.welcome?.user).toBeUndefined();
  });
});
