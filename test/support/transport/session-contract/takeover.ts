import { expect, it } from '@jest/globals';
import { wireChannel } from '../../wire/channel.js';
import type { SessionClient } from '../../wire/session-client.js';
import type { Visit } from '../session-site.js';
import type { SessionTransport } from '../session-transports.js';
import { payloads, say, type Stage } from './stage.js';

/** A session that continues on another connection, by this transport and by the others. */
export function describeTakeover(stage: Stage): void {
  const { transport, others, unique, publish } = stage;

  async function comeBack(
    by: SessionTransport,
    older: SessionClient,
    token?: string,
    visit: Visit = stage.visit,
  ): Promise<SessionClient> {
    return await visit.connect(by, token, { session: older.welcome?.session });
  }

  it.each(others)(
    'is taken over by one over $name and takes over from it: the older one ends with 4810, and nobody sees its member go (P28)',
    async (other) => {
      const room = unique('rooms.over');
      const watcher = await stage.visit.connect(transport, 'eve');
      await watcher.subscribe(room);
      const user = unique('ada');
      let client = await stage.visit.connect(transport, user);
      const { position } = (await client.subscribe(room, { presence: { data: 'calm' } })) as {
        position: { epoch: string; seq: number };
      };
      await watcher.next('presence');
      let seq = 0;
      for (const by of [other, transport, other]) {
        const older = client;
        await publish(room, ++seq);
        client = await comeBack(by, older, user);
        await older.expectClose(4810);
        await publish(room, ++seq);
        expect(
          await client.subscribe(room, {
            position: { ...position, seq: seq - 2 },
            presence: { data: 'calm' },
          }),
        ).toMatchObject({ recovery: 'complete' });
        expect(await payloads(client, 2)).toEqual([seq - 1, seq]);
        expect(await client.next('resumed')).toMatchObject({ seq });
      }
      const { members } = (await watcher.reply({ type: 'presence', channel: room })) as {
        members: { id: string; devices: number }[];
      };
      expect(members.map(({ id, devices }) => `${id}:${devices}`).sort()).toEqual(
        [`${user}:1`, 'eve:1'].sort(),
      );
      expect(watcher.pending.filter(({ type }) => type === 'presence')).toEqual([]);
      await client.reply(say(room, 'm1'));
      expect((await watcher.take({ id: 'm1' })).user).toBe(user);
    },
  );

  it('repeats a publish whose answer was cut off: it is appended once, by whichever transport (P15, P17, G4)', async () => {
    const room = unique('rooms.again');
    const user = unique('ada');
    let client = await stage.visit.connect(transport, user);
    const ids = Array.from({ length: 9 }, (_, index) => `m${index}`);
    for (const [index, id] of ids.entries()) {
      client.send(say(room, id));
      for (let turn = 0; turn < index; turn++) await new Promise((resolve) => setImmediate(resolve));
      client.terminate();
      const by = others[index % others.length] as SessionTransport;
      client = await comeBack(by, client, user);
      expect(await client.reply(say(room, id))).toMatchObject({ seq: index + 1 });
    }
    const { events } = await stage.visit.server.engine.application.history(room);
    expect(events.map(({ id }) => id)).toEqual(ids);
  });

  it('of an anonymous client is known by its ticket on every transport (P28f)', async () => {
    const room = unique('rooms.anonymous');
    const first = await stage.visit.connect(transport);
    expect(await first.reply(say(room, 'm1'))).toMatchObject({ seq: 1, duplicate: false });
    let client = first;
    for (const by of others) {
      client = await comeBack(by, client);
      expect(await client.reply(say(room, 'm1'))).toMatchObject({ seq: 1, duplicate: true });
    }
    const stranger = await stage.visit.connect(transport);
    expect(await stranger.reply(say(room, 'm1'))).toMatchObject({ seq: 2, duplicate: false });
  });

  it('is not taken over with the ticket of another user (P28b)', async () => {
    const room = unique('rooms.thief');
    const first = await stage.visit.connect(transport, unique('ada'));
    await first.subscribe(room);
    await comeBack(transport, first, 'eve');
    await publish(room, 1);
    expect(await payloads(first, 1)).toEqual([1]);
  });

  it('continues on another node with its ticket, by every transport (P13, P28)', async () => {
    const extra = await stage.start({
      channels: [wireChannel('rooms.:room', { presence: true, publish: ['said'] })],
    });
    if (extra.site.nodes.length < 2) return;
    const first = await extra.connect(transport, 'ada');
    const { position } = await first.subscribe('rooms.1');
    let client = first;
    for (const [index, by] of others.entries()) {
      const older = client;
      client = await extra.open(by, {}, 1 + index);
      await client.hello('ada', { session: older.welcome?.session });
      await older.expectClose(4810);
      await extra.server.engine.application.publish('rooms.1', 'said', index);
      await client.subscribe('rooms.1', { position });
      expect(await payloads(client, index + 1)).toEqual(
        Array.from({ length: index + 1 }, (_, number) => number),
      );
      await client.next('resumed');
    }
  });
}
