import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ControlReceipt } from '../../../lib/core/ports/control.js';
import type { Restriction } from '../../../lib/core/ports/moderation.js';
import { wireChannel } from './channel.js';
import type { WireClusterOptions } from './cluster.js';
import { EventReader } from './event-reader.js';
import type { WireServer } from './server.js';

// Bans, kicks and lifts for clients of plain streams, which send nothing: `GET {path}/sse?channels=`. Each is put on the other node.

const USER = 'ada';
const ROOM = 'rooms.1';
const HALL = 'halls.1';
const HOUR_MS = 3_600_000;
const EVERYWHERE = `${ROOM},${HALL}`;

interface Nodes {
  readonly nodes: readonly WireServer[];
  close(): Promise<void>;
}

const OPTIONS: WireClusterOptions = {
  channels: ['rooms.:room', 'halls.:hall'].map((pattern) => wireChannel(pattern)),
};

const open = ({ httpUrl }: WireServer, channels: string, lastEventId?: string): Promise<EventReader> =>
  EventReader.open(`${httpUrl}/sse?channels=${channels}`, {
    headers: {
      authorization: `Bearer ${USER}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
  });

function requireConfirmed({ confirmed, missing }: ControlReceipt): void {
  expect([[...confirmed].sort(), missing]).toEqual([['node-1', 'node-2'], []]);
}

/** Opens a stream that must work. */
async function follow(node: WireServer, channels: string, lastEventId?: string): Promise<EventReader> {
  const reader = await open(node, channels, lastEventId);
  expect(reader.status).toBe(200);
  for (const _ of channels.split(',')) await reader.next('subscribed');
  return reader;
}

/** Opens a stream that must be refused as a whole. */
async function refused(node: WireServer, forMs: number | undefined): Promise<void> {
  const reader = await open(node, ROOM);
  await reader.ended();
  expect([reader.status, reader.headers['content-type']]).toEqual([403, 'application/json; charset=utf-8']);
  const { code, retryAfterMs } = JSON.parse(reader.body) as { code: string; retryAfterMs?: number };
  expect(code).toBe('banned');
  if (forMs === undefined) expect(retryAfterMs).toBeUndefined();
  else expect(retryAfterMs).toBeGreaterThan(0);
}

/** The message that ends a channel of a stream, or is there instead of it. */
async function endOf(reader: EventReader, type: 'unsubscribed' | 'error'): Promise<Record<string, unknown>> {
  const { channel, payload } = await reader.next(type);
  expect([channel, payload['code'], payload['retryable']]).toEqual([ROOM, 'banned', false]);
  return payload;
}

/** @param start two nodes. */
export function describeFeedModeration(
  title: string,
  start: (options: WireClusterOptions) => Promise<Nodes>,
): void {
  describe(title, () => {
    let running: Nodes;
    let left: WireServer;
    let right: WireServer;
    beforeEach(async () => {
      running = await start(OPTIONS);
      [left, right] = running.nodes as [WireServer, WireServer];
    });
    afterEach(() => running.close());

    const publish = (channel: string, text: string): Promise<unknown> =>
      right.engine.application.publish(channel, 'said', text);
    const subjectOf = async (of: 'user' | 'session' | 'address'): Promise<Restriction['whom']> => {
      if (of === 'user') return { of, id: USER };
      const { sessions } = await right.engine.sessions.list({ user: USER }, { limit: 1 });
      return { of, id: (of === 'session' ? sessions[0]?.lineage : sessions[0]?.ip) ?? '' };
    };

    it.each([
      ['user', undefined],
      ['user', HOUR_MS],
      ['address', undefined],
      ['address', HOUR_MS],
    ] as const)(
      'a ban of a %s everywhere for %s ms ends the stream, refuses new ones with 403, and ends with a lift',
      async (of, forMs) => {
        const reader = await follow(left, EVERYWHERE);
        const whom = await subjectOf(of);
        const ban: Restriction = {
          act: 'ban',
          whom,
          ...(forMs === undefined ? {} : { forMs }),
          reason: 'not for clients',
        };
        requireConfirmed(await right.engine.restrict(ban));
        await reader.ended();
        expect(reader.isComplete).toBe(true);
        expect(reader.received.at(-1)).toMatchObject({ type: 'error', payload: { code: 'banned' } });
        expect(reader.body).not.toContain('not for clients');
        for (const node of [left, right]) await refused(node, forMs);
        requireConfirmed(await right.engine.lift({ act: 'ban', whom }));
        await publish(ROOM, 'while away');
        // A new stream begins where its node is, which may not have delivered the event before yet.
        for (const node of [left, right]) {
          const back = await follow(node, ROOM);
          await publish(ROOM, `again on ${node.httpUrl}`);
          await back.until('the event', ({ body }) => body.includes(`again on ${node.httpUrl}`));
          back.close();
        }
      },
    );

    it('a ban of a session ends its stream; the next one is another session, as a stream has no ticket', async () => {
      const reader = await follow(left, ROOM);
      requireConfirmed(await right.engine.restrict({ act: 'ban', whom: await subjectOf('session') }));
      await reader.ended();
      expect(reader.received.at(-1)).toMatchObject({ type: 'error', payload: { code: 'banned' } });
      (await follow(left, ROOM)).close();
    });

    it.each([
      ['a ban from a channel', 'user', { act: 'ban', channel: ROOM }],
      ['a kick for an hour', 'user', { act: 'ban', channel: 'rooms.:room', forMs: HOUR_MS }],
      ['a ban from a channel', 'address', { act: 'ban', channel: ROOM }],
    ] as const)(
      '%s of a %s ends that channel of the stream and leaves the other, here and in new streams, until it is lifted',
      async (_, of, restriction) => {
        const reader = await follow(left, EVERYWHERE);
        await publish(ROOM, 'before');
        expect(await reader.payload()).toBe('before');
        await reader.until('its place', ({ lastEventId }) => lastEventId !== '');
        const whom = await subjectOf(of);
        requireConfirmed(await right.engine.restrict({ ...restriction, whom }));
        const wait = (await endOf(reader, 'unsubscribed'))['retryAfterMs'];
        if ('forMs' in restriction) expect(wait).toBeGreaterThan(0);
        else expect(wait).toBeUndefined();
        await publish(ROOM, 'not for it');
        await publish(HALL, 'elsewhere');
        expect(await reader.payload()).toBe('elsewhere');
        for (const node of [left, right]) {
          const again = await open(node, EVERYWHERE);
          await endOf(again, 'error');
          // The other channel may be subscribed later, on what was published before.
          await again.until('the other channel', ({ body }) => body.includes('"subscribed"'));
          await publish(ROOM, 'not for it');
          await publish(HALL, 'for it');
          await again.until('the event', ({ body }) => body.includes('"for it"'));
          expect(again.body).not.toContain('not for it');
          again.close();
        }
        expect(reader.body).not.toContain('not for it');
        const { lastEventId } = reader;
        reader.close();
        requireConfirmed(await right.engine.lift({ ...restriction, whom }));
        for (const node of [left, right]) {
          const back = await follow(node, EVERYWHERE, lastEventId);
          await publish(ROOM, 'back');
          await back.until('the event', ({ body }) => body.includes('"back"'));
          back.close();
        }
      },
    );

    it('a kick without a time ends the channel, and the next stream may have it', async () => {
      const reader = await follow(left, EVERYWHERE);
      requireConfirmed(await right.engine.revoke(USER, ROOM));
      const { channel, payload } = await reader.next('unsubscribed');
      expect([channel, payload['code']]).toEqual([ROOM, 'forbidden']);
      await publish(HALL, 'elsewhere');
      expect(await reader.payload()).toBe('elsewhere');
      (await follow(left, EVERYWHERE)).close();
    });

    it('a mute changes nothing for who only reads', async () => {
      const reader = await follow(left, ROOM);
      requireConfirmed(await right.engine.restrict({ act: 'mute', whom: { of: 'user', id: USER } }));
      await publish(ROOM, 'heard');
      expect(await reader.payload()).toBe('heard');
    });
  });
}
