import { afterEach, describe, expect, it } from '@jest/globals';
import type { RealtimeClientOptions } from '../../../../lib/client/options.js';
import type { ChannelHandle } from '../../../../lib/client/channel/handle.js';
import { PresenceList, readPresence } from '../../../../lib/client/channel/presence-list.js';
import fc from '../../../support/property.js';
import type { ScriptedConnection } from '../../../support/wire/scripted-server.js';
import { codeOf, Harness } from '../harness.js';

let harness: Harness | undefined;
afterEach(() => harness?.stop());

const member = (id: string, data?: unknown): Record<string, unknown> => ({
  id,
  devices: 1,
  ...(data === undefined ? {} : { data }),
});
const page = (version: number, ids: string[], more?: string): Record<string, unknown> => ({
  epoch: 'p1',
  version,
  members: ids.map((id) => member(id)),
  count: ids.length,
  ...(more === undefined ? {} : { more }),
});

interface Room {
  readonly h: Harness;
  readonly connection: ScriptedConnection;
  readonly room: ChannelHandle;
  readonly changes: string[];
  diff(version: number, change: Record<string, unknown>, previous?: number): Promise<void>;
}

async function subscribed(presence: unknown, options: RealtimeClientOptions = {}): Promise<Room> {
  const h = (harness = await Harness.start(options));
  const connection = await h.live();
  const room = h.client.channel('rooms.1');
  const changes: string[] = [];
  room.presence.on('change', (members) => changes.push(members.map(({ id }) => id).join()));
  void room.subscribe();
  await connection.subscribed({ presence });
  await connection.sync();
  const diff = async (
    version: number,
    change: Record<string, unknown>,
    previous = version - 1,
  ): Promise<void> => {
    const payload = { epoch: 'p1', version, previous, join: [], update: [], leave: [], ...change };
    connection.send({ type: 'presence', channel: 'rooms.1', payload });
    await connection.sync();
  };
  return { h, connection, room, changes, diff };
}

const ids = (room: ChannelHandle): string => room.presence.members.map(({ id }) => id).join();

describe('presence in the client (G19, P25)', () => {
  it('builds the members from the page and the diffs', async () => {
    const { room, changes, diff } = await subscribed(page(4, ['ada', 'bob']));
    await diff(5, { join: [member('cid')] });
    await diff(6, { update: [member('ada', { typing: true })], leave: ['bob'] });
    expect(changes).toEqual(['ada,bob', 'ada,bob,cid', 'ada,cid']);
    expect(room.presence.members[0]).toEqual({ id: 'ada', devices: 1, data: { typing: true } });
    expect([room.presence.count, room.presence.complete]).toEqual([2, true]);
  });

  it('ignores a diff that the page already contains', async () => {
    const { changes, diff } = await subscribed(page(4, ['ada']));
    await diff(4, { leave: ['ada'] });
    expect(changes).toEqual(['ada']);
  });

  it('reads the members again on a missing version, and keeps diffs that arrive during the read (P25)', async () => {
    const { room, connection, diff } = await subscribed(page(4, ['ada']));
    await diff(6, { join: [member('cid')] });
    const command = await connection.expectCommand('presence');
    expect(command).toMatchObject({ channel: 'rooms.1', payload: {} });
    await diff(7, { join: [member('dan')] });
    await diff(8, { leave: ['ada'] });
    connection.reply(command, page(7, ['ada', 'bob', 'cid', 'dan']));
    await connection.sync();
    expect(ids(room)).toBe('bob,cid,dan');
    expect(connection.unread).toEqual([]);
  });

  it('reads the members again on another epoch (P25)', async () => {
    const { room, connection, diff } = await subscribed(page(4, ['ada']));
    await diff(5, { epoch: 'p2', join: [member('cid')] });
    connection.reply(await connection.expectCommand('presence'), { ...page(1, ['eve']), epoch: 'p2' });
    await connection.sync();
    expect(ids(room)).toBe('eve');
  });

  it('does not read in a loop when the server contradicts itself', async () => {
    const { h, connection, diff } = await subscribed(page(4, ['ada']));
    await diff(9, {});
    const first = await connection.expectCommand('presence');
    await diff(12, {});
    connection.reply(first, page(5, ['ada']));
    await connection.sync();
    expect(connection.unread).toEqual([]);
    h.clock.advance(500);
    await connection.expectCommand('presence');
  });

  it('counts one failed read, however many of the changes behind it contradict the answer', async () => {
    const { h, connection, diff } = await subscribed(page(4, ['ada']));
    await diff(9, {});
    const first = await connection.expectCommand('presence');
    for (const version of [12, 15, 18]) await diff(version, {});
    connection.reply(first, page(5, ['ada']));
    await connection.sync();
    h.clock.advance(500);
    const second = await connection.expectCommand('presence');
    await diff(21, {});
    connection.reply(second, page(5, ['ada']));
    await connection.sync();
    h.clock.advance(999);
    await connection.sync();
    expect(connection.unread).toEqual([]);
    h.clock.advance(1);
    await connection.expectCommand('presence');
  });

  it('ignores the answer to a read of an earlier subscription', async () => {
    const { room, connection, diff } = await subscribed(page(4, ['ada']));
    await diff(9, {});
    const late = await connection.expectCommand('presence');
    void room.unsubscribe();
    void room.subscribe();
    await connection.expectCommand('unsubscribe');
    await connection.subscribed({ presence: page(9, ['bob']) });
    connection.reply(late, page(8, ['ada']));
    await connection.sync();
    expect(ids(room)).toBe('bob');
  });

  it('retries a failed read if a retry can help', async () => {
    const { h, room, connection, diff } = await subscribed(page(4, ['ada']));
    await diff(9, {});
    connection.error(await connection.expectCommand('presence'), 'unavailable');
    await connection.sync();
    h.clock.advance(1_000);
    connection.reply(await connection.expectCommand('presence'), page(9, ['bob']));
    await connection.sync();
    expect(ids(room)).toBe('bob');
  });

  it('reads all pages, and applies later diffs after the last page', async () => {
    const { room, connection, changes, diff } = await subscribed({
      ...page(4, ['ada', 'bob'], 'c1'),
      count: 4,
    });
    const second = await connection.expectCommand('presence');
    expect(second.payload).toEqual({ cursor: 'c1' });
    await diff(5, { join: [member('eve')], leave: ['ada'] });
    connection.reply(second, { ...page(5, ['cid'], 'c2'), count: 4 });
    const third = await connection.expectCommand('presence');
    connection.reply(third, { ...page(5, ['dan', 'eve']), count: 4 });
    await connection.sync();
    expect(changes).toEqual(['ada,bob,cid,dan,eve', 'bob,cid,dan,eve']);
    expect(room.presence).toMatchObject({ count: 4, complete: true });
  });

  it('keeps a bounded number of members, and marks the list as incomplete', async () => {
    const { room, connection } = await subscribed(
      { ...page(4, ['ada', 'bob'], 'c1'), count: 9 },
      { maxPresenceMembers: 2 },
    );
    expect(room.presence).toMatchObject({ count: 9, complete: false });
    expect(connection.unread).toEqual([]);
  });

  describe('in a large channel', () => {
    const large = (version: number, ids: string[], count: number): Record<string, unknown> => ({
      ...page(version, ids, 'c1'),
      count,
      counted: true,
    });
    const tell = async ({ connection }: Room, payload: object): Promise<void> => {
      connection.send({ type: 'presence', channel: 'rooms.1', payload });
      await connection.sync();
    };

    it('keeps the first members and follows their number, without reading further pages (P22a)', async () => {
      const room = await subscribed(large(4, ['ada', 'bob'], 12_000));
      expect(room.connection.unread).toEqual([]);
      expect(room.room.presence).toMatchObject({ count: 12_000, complete: false });
      await tell(room, { epoch: 'p1', version: 9, count: 12_007 });
      await tell(room, { epoch: 'p1', version: 11, count: 12_007 });
      await tell(room, { epoch: 'p1', version: 10, count: 12_001 });
      expect(room.room.presence).toMatchObject({ count: 12_007, complete: false });
      expect(ids(room.room)).toBe('ada,bob');
      expect(room.changes).toEqual(['ada,bob', 'ada,bob']);
      expect(room.connection.unread).toEqual([]);
    });

    it('keeps the known members when the channel becomes large (P22a)', async () => {
      const room = await subscribed(page(4, ['ada', 'bob']));
      await tell(room, { epoch: 'p1', version: 7, count: 5 });
      expect(room.room.presence).toMatchObject({ count: 5, complete: false });
      expect(ids(room.room)).toBe('ada,bob');
      // A diff that was on its way when the number was told says nothing new.
      await room.diff(6, { leave: ['ada'] });
      expect(ids(room.room)).toBe('ada,bob');
      expect(room.connection.unread).toEqual([]);
    });

    it('accepts a member count without a version (P22a)', async () => {
      const room = await subscribed(page(4, ['ada']));
      await tell(room, { count: 12_000 });
      expect(room.room.presence).toMatchObject({ count: 12_000, complete: false });
      await room.diff(5, { join: [member('bob')] });
      room.connection.reply(await room.connection.expectCommand('presence'), page(5, ['ada', 'bob']));
      await room.connection.sync();
      expect(room.room.presence).toMatchObject({ count: 2, complete: true });
    });

    it('reads the members again when it knows more than there are (P22a)', async () => {
      const room = await subscribed(page(4, ['ada', 'bob', 'cid']));
      await tell(room, { epoch: 'p1', version: 5, count: 4 });
      await tell(room, { epoch: 'p1', version: 6, count: 2 });
      const command = await room.connection.expectCommand('presence');
      room.connection.reply(command, { ...large(6, ['bob', 'cid'], 2), more: undefined });
      await room.connection.sync();
      expect(room.room.presence).toMatchObject({ count: 2, complete: false });
      expect(ids(room.room)).toBe('bob,cid');
      expect(room.connection.unread).toEqual([]);
    });

    it('reads the members again when the server sends changes again, and follows them (P22c)', async () => {
      const room = await subscribed(large(4, ['ada'], 12));
      await tell(room, { epoch: 'p1', version: 8, count: 10 });
      await room.diff(9, {}, 9);
      const command = await room.connection.expectCommand('presence');
      expect(command.payload).toEqual({});
      await room.diff(10, { leave: ['ada'], count: 8 });
      room.connection.reply(command, page(9, ['ada', 'bob']));
      await room.connection.sync();
      expect(ids(room.room)).toBe('bob');
      expect(room.room.presence).toMatchObject({ count: 1, complete: true });
    });

    it('reads the members again on the first change, even if the notice before it was lost (P22c)', async () => {
      const room = await subscribed(large(4, ['ada'], 12));
      await room.diff(5, { join: [member('bob')] });
      room.connection.reply(await room.connection.expectCommand('presence'), page(5, ['ada', 'bob']));
      await room.connection.sync();
      expect(room.room.presence).toMatchObject({ count: 2, complete: true });
    });

    it('stops reading pages when the channel becomes large (P22a)', async () => {
      const room = await subscribed({ ...page(4, ['ada'], 'c1'), count: 3 });
      const second = await room.connection.expectCommand('presence');
      room.connection.reply(second, large(6, ['bob'], 900));
      await room.connection.sync();
      expect(room.connection.unread).toEqual([]);
      expect(room.room.presence).toMatchObject({ count: 900, complete: false });
      expect(ids(room.room)).toBe('ada,bob');
    });
  });

  it('counts members by the diffs where it does not keep all of them (G19)', async () => {
    const { room, diff } = await subscribed(
      { ...page(4, ['ada', 'bob'], 'c1'), count: 9 },
      { maxPresenceMembers: 2 },
    );
    await diff(5, { join: [member('cid')], count: 10 });
    expect(room.presence).toMatchObject({ count: 10, complete: false });
    // A server of a version before this one does not say it.
    await diff(6, { join: [member('dan')], leave: ['eve', 'fay'] });
    expect(room.presence).toMatchObject({ count: 9, complete: false });
    expect(ids(room)).toBe('ada,bob');
  });

  it('reads the members with each subscribe, and is empty after unsubscribe', async () => {
    const { h, room, connection, changes } = await subscribed(page(4, ['ada']));
    connection.terminate();
    await h.state('waiting');
    expect(ids(room)).toBe('ada');
    const second = await h.back();
    await second.subscribed({ presence: page(9, ['bob']) });
    await second.sync();
    expect(ids(room)).toBe('bob');
    void room.unsubscribe();
    expect(ids(room)).toBe('');
    expect(changes).toEqual(['ada', 'bob', '']);
  });

  it('sends the own data on `update`, and again after each reconnect', async () => {
    const { h, room, connection } = await subscribed(page(4, ['ada']));
    const updated = room.presence.update({ mood: 'tea' });
    const command = await connection.expectCommand('presence_update');
    expect(command).toMatchObject({ channel: 'rooms.1', payload: { data: { mood: 'tea' } } });
    connection.reply(command, {});
    await updated;
    const interrupted = room.presence.update({ mood: 'cake' });
    await connection.expectCommand('presence_update');
    connection.terminate();
    await interrupted;
    const again = await (await h.back()).expectCommand('subscribe');
    expect(again.payload).toMatchObject({ presence: { data: { mood: 'cake' } } });
  });

  it('refuses `update` without a subscription', async () => {
    const h = (harness = await Harness.start());
    expect(await codeOf(h.client.channel('rooms.1').presence.update(1))).toBe('not_subscribed');
  });

  it('builds the true list from pages of any versions and all diffs since the first page (property) (G19)', () => {
    const change = fc.record({ join: fc.boolean(), id: fc.integer({ min: 0, max: 5 }) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), fc.nat(30), fc.nat(30), (changes, a, b) => {
        const [first, second] = [Math.min(a, b, changes.length), Math.min(Math.max(a, b), changes.length)];
        const truth = (version: number): Set<string> => {
          const members = new Set<string>();
          for (const { join, id } of changes.slice(0, version)) {
            if (join) members.add(`m${id}`);
            else members.delete(`m${id}`);
          }
          return members;
        };
        const part = (version: number, low: boolean): string[] =>
          [...truth(version)].filter((id) => Number(id.slice(1)) < 3 === low);
        const list = new PresenceList(100);
        list.begin(readPresence(page(first, part(first, true), 'more')));
        list.add(readPresence(page(second, part(second, false))));
        changes.forEach(({ join, id }, index) => {
          const version = index + 1;
          list.diff(
            readPresence({
              epoch: 'p1',
              version,
              previous: index,
              join: join ? [member(`m${id}`)] : [],
              leave: join ? [] : [`m${id}`],
            }),
          );
        });
        expect(new Set(list.all.map(({ id }) => id))).toEqual(truth(changes.length));
      }),
    );
  });
});
