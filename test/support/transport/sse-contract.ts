import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { wireChannel } from '../wire/channel.js';
import { EventReader, type EventReaderOptions } from '../wire/event-reader.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../wire/server.js';
import { directly, type Front, type MakeFront } from './front.js';

interface Backend {
  readonly server: WireServer;
  readonly front: Front;
  /** Opens a stream of these channels. */
  open(channels: string, options?: EventReaderOptions): Promise<EventReader>;
  close(): Promise<void>;
}

const ORIGIN = 'https://app.example.com';

async function startBackend(makeFront: MakeFront, options: WireServerOptions): Promise<Backend> {
  const server = await startWireServer(options);
  const { port } = new URL(server.httpUrl);
  const front = await makeFront(Number(port));
  const readers: EventReader[] = [];
  return {
    server,
    front,
    async open(channels, readerOptions) {
      const reader = await EventReader.open(`${front.url}/realtime/sse?channels=${channels}`, {
        ...readerOptions,
        ...(front.tls === undefined ? {} : { tls: front.tls }),
      });
      readers.push(reader);
      return reader;
    },
    async close() {
      for (const reader of readers) reader.close();
      await front.close();
      await server.close();
    },
  };
}

/** The seq of each event that came. */
const seqsOf = (reader: EventReader): (number | undefined)[] =>
  reader.received.filter(({ type }) => type === 'event').map(({ seq }) => seq);

/**
 * What a plain stream promises (P20), to clients at the other end of whatever is in front of the server. Each call makes a suite of
 * its own, which starts its servers.
 *
 * @example describeSseContract('behind nginx', (port) => startNginx(port));
 */
export function describeSseContract(name: string, makeFront: MakeFront = directly): void {
  describe(`plain streams ${name}`, () => {
    let backend: Backend;
    let muted = false;
    let extra: Backend | undefined;
    const publish = async (channel: string, ...payloads: unknown[]): Promise<void> => {
      for (const payload of payloads)
        await backend.server.engine.application.publish(channel, 'said', payload);
    };

    beforeAll(async () => {
      backend = await startBackend(makeFront, {
        channels: [
          wireChannel('rooms.:room', { presence: true, publish: ['said'] }),
          wireChannel('short.:name', { log: { size: 3 } }),
          wireChannel('state.:name', {
            behaviour: { snapshot: { load: () => ({ title: 'Tea' }) } as never },
          }),
          wireChannel('closed.:name', {
            behaviour: {
              authorize: {
                subscribe: ({ connection }: { connection: { user?: { id: string } } }) => {
                  if (muted) throw new RealtimeError('unavailable', 'Later', { retryAfterMs: 1 });
                  return connection.user?.id === 'alice';
                },
              },
            },
          }),
        ],
        settings: { anonymous: true, retry: { firstSpreadMs: 1_000, baseMs: 10 } },
        transport: { cookie: { name: 'token' }, queryToken: 'token', allowedOrigins: ORIGIN },
      });
    });
    afterEach(async () => {
      await extra?.close();
      extra = undefined;
    });
    afterAll(() => backend.close());

    it('begin with their own wait and one outcome per channel, then bring the events of all of them (P20)', async () => {
      const reader = await backend.open('rooms.1,rooms.2');
      expect(reader.status).toBe(200);
      expect(reader.headers['content-type']).toBe('text/event-stream');
      expect(reader.headers['cache-control']).toBe('no-cache, no-transform');
      await reader.next('subscribed');
      const second = await reader.next('subscribed');
      expect(second.payload).toMatchObject({ recovery: 'new', position: { seq: 0 } });
      expect(reader.retryMs).toBeGreaterThan(0);
      expect(reader.retryMs).toBeLessThanOrEqual(1_000);
      await publish('rooms.2', 'b');
      await publish('rooms.1', 'a');
      expect(await reader.next('event')).toMatchObject({
        channel: 'rooms.2',
        event: 'said',
        seq: 1,
        payload: 'b',
      });
      expect(await reader.next('event')).toMatchObject({ channel: 'rooms.1', seq: 1, payload: 'a' });
      expect(reader.blocks.every(({ event }) => event === undefined)).toBe(true);
      expect(reader.types.slice(0, 2).sort()).toEqual(['subscribed rooms.1', 'subscribed rooms.2']);
    });

    it('continue every channel behind the last id, again and again (P20)', async () => {
      const channels = 'rooms.r1,rooms.r2';
      let reader = await backend.open(channels);
      await reader.until('both outcomes', ({ received }) => received.length === 2);
      const got: unknown[] = [];
      for (let cut = 0; cut < 3; cut++) {
        await publish('rooms.r1', `${cut} live`);
        got.push(await reader.payload());
        const { lastEventId } = reader;
        reader.close();
        await publish('rooms.r2', `${cut} missed`);
        await publish('rooms.r1', `${cut} missed too`);
        reader = await backend.open(channels, { headers: { 'Last-Event-ID': lastEventId } });
        await reader.until(
          'the replays',
          ({ received }) => received.filter(({ type }) => type === 'resumed').length === 2,
        );
        expect((await reader.next('subscribed')).payload['recovery']).toBe('complete');
        const payloads = reader.received.filter(({ type }) => type === 'event').map(({ payload }) => payload);
        expect(payloads).toEqual(expect.arrayContaining([`${cut} missed`, `${cut} missed too`]));
        got.push(...payloads);
        // The id is in the last `resumed`.
        reader.close();
        reader = await backend.open(channels, { headers: { 'Last-Event-ID': reader.lastEventId } });
        await reader.until(
          'both',
          ({ received }) => received.filter(({ type }) => type === 'resumed').length === 2,
        );
        expect(seqsOf(reader)).toEqual([]);
      }
      expect(new Set(got).size).toBe(9);
    });

    it('of one channel carry the id in every event, so that a reconnect repeats nothing (P20)', async () => {
      const reader = await backend.open('rooms.single');
      await reader.next('subscribed');
      await publish('rooms.single', 1, 2, 3);
      await reader.until('three events', (all) => seqsOf(all).length === 3);
      expect(new Set(reader.blocks.map(({ id }) => id).filter(Boolean)).size).toBe(4);
      const again = await backend.open(`rooms.single&lastEventId=${reader.lastEventId}`);
      expect((await again.next('subscribed')).payload).toMatchObject({
        recovery: 'complete',
        position: { seq: 3 },
      });
      await again.next('resumed');
      expect(seqsOf(again)).toEqual([]);
    });

    it('take the header before the query, which a reconnect both sends (P20)', async () => {
      await publish('rooms.both', 1, 2);
      const first = await backend.open('rooms.both');
      await first.next('subscribed');
      const early = first.lastEventId;
      await publish('rooms.both', 3);
      await first.next('event');
      const headers = { 'Last-Event-ID': first.lastEventId };
      const again = await backend.open(`rooms.both&lastEventId=${early}`, { headers });
      await again.next('resumed');
      expect(seqsOf(again)).toEqual([]);
    });

    it('tell what the log no longer has, and what cannot be continued (P11, G3)', async () => {
      await publish('short.1', 1);
      const first = await backend.open('short.1');
      await first.next('subscribed');
      await publish('short.1', 2, 3, 4, 5, 6);
      const again = await backend.open('short.1', { headers: { 'Last-Event-ID': first.lastEventId } });
      const { payload } = await again.next('subscribed');
      expect(payload).toMatchObject({ recovery: 'truncated', from: 4, to: 6, cause: 'trimmed' });
      const foreign = `AAAAAAAA${first.lastEventId.slice(8)}`;
      for (const id of ['nonsense', foreign, first.lastEventId.replace(/.$/, 'x'), `${first.lastEventId}~`]) {
        const lost = await backend.open('short.1', { headers: { 'Last-Event-ID': id } });
        expect((await lost.next('subscribed')).payload).toMatchObject({
          recovery: 'lost',
          reason: 'unreadable',
        });
      }
      const other = first.lastEventId.replace(/~[^.]*/, '~another');
      const reset = await backend.open('short.1', { headers: { 'Last-Event-ID': other } });
      expect((await reset.next('subscribed')).payload).toMatchObject({
        recovery: 'lost',
        reason: 'epoch_changed',
      });
    });

    it('name events as the application does where they are asked to, and never as the browser does (P20)', async () => {
      const reader = await backend.open('rooms.named&events=1');
      await reader.next('subscribed');
      const { application } = backend.server.engine;
      for (const event of ['price', 'error', 'open', 'a\nb'])
        await application.publish('rooms.named', event, event);
      await reader.until('four events', (all) => seqsOf(all).length === 4);
      const names = reader.blocks
        .filter(({ data }) => data?.includes('"type":"event"'))
        .map(({ event }) => event);
      expect(names).toEqual(['price', undefined, undefined, undefined]);
    });

    it('are refused for good before they begin, as HTTP says it (P20)', async () => {
      const refusals: [string, EventReaderOptions, number][] = [
        ['', {}, 400],
        ['rooms..1', {}, 400],
        ['rooms.1,rooms.1', {}, 400],
        ['rooms.1', { headers: { Authorization: 'Bearer bad' } }, 401],
        ['rooms.1&token=bad', {}, 401],
        ['rooms.1', { headers: { Origin: 'https://evil.example.com' } }, 403],
        ['rooms.1', { headers: { 'Sec-Fetch-Site': 'cross-site' } }, 403],
        ['rooms.1', { headers: { Cookie: 'token=alice' } }, 403],
        ['rooms.1', { method: 'PUT' }, 405],
        [`rooms.${'a'.repeat(190)},`.repeat(22), {}, 414],
        ['rooms.1', { headers: { 'Last-Event-ID': 'x'.repeat(4_097) } }, 414],
      ];
      for (const [channels, options, status] of refusals) {
        const reader = await backend.open(channels, options);
        expect([channels, reader.status]).toEqual([channels, status]);
        await reader.ended();
        expect(JSON.parse(reader.body)).toMatchObject({ statusCode: status });
      }
    });

    it.each([
      ['a cookie of an allowed page', { Cookie: 'token=alice', Origin: ORIGIN }],
      ['a cookie of the page itself', { Cookie: 'token=alice', 'Sec-Fetch-Site': 'same-origin' }],
      ['a token', { Authorization: 'Bearer alice' }],
    ])('know the client by %s (P20, G22)', async (_, headers) => {
      const reader = await backend.open('closed.1', { headers });
      expect((await reader.next()).type).toBe('subscribed');
      if ('Origin' in headers) {
        expect(reader.headers['access-control-allow-origin']).toBe(ORIGIN);
        expect(reader.headers['access-control-allow-credentials']).toBe('true');
      }
    });

    it('tell a channel that is refused for good by its name, and go on with the others (P20)', async () => {
      const reader = await backend.open('closed.1,rooms.others,nowhere.1');
      await reader.until('three outcomes', ({ received }) => received.length === 3);
      expect([...reader.types].sort()).toEqual([
        'error closed.1',
        'error nowhere.1',
        'subscribed rooms.others',
      ]);
      await publish('rooms.others', 'x');
      expect(await reader.payload()).toBe('x');
    });

    it('end under an id that stops browsers when no channel is left, and answer that id with 204 (P20)', async () => {
      const reader = await backend.open('closed.1');
      await reader.ended();
      expect(reader.isComplete).toBe(true);
      expect(reader.received).toMatchObject([
        { type: 'error', channel: 'closed.1', payload: { code: 'forbidden' } },
      ]);
      expect(reader.lastEventId).toBe('stop');
      const again = await backend.open('closed.1', { headers: { 'Last-Event-ID': 'stop' } });
      expect(again.status).toBe(204);
    });

    it('ask again for a channel that is refused for a time, which the client need not know (P20)', async () => {
      muted = true;
      const reader = await backend.open('closed.1,rooms.first', {
        headers: { Authorization: 'Bearer alice' },
      });
      expect(await reader.next()).toMatchObject({ type: 'subscribed', channel: 'rooms.first' });
      muted = false;
      expect(await reader.next()).toMatchObject({ type: 'subscribed', channel: 'closed.1' });
    });

    it('end for a channel whose access is revoked, with nothing behind it (G11)', async () => {
      const reader = await backend.open('closed.1,rooms.stays', {
        headers: { Authorization: 'Bearer alice' },
      });
      await reader.until('both outcomes', ({ received }) => received.length === 2);
      await backend.server.engine.revoke('alice', 'closed.1');
      await publish('closed.1', 'secret');
      await publish('rooms.stays', 'x');
      const revoked = await reader.next('unsubscribed');
      expect(revoked).toMatchObject({
        channel: 'closed.1',
        payload: { code: 'forbidden', retryable: false },
      });
      expect(await reader.payload()).toBe('x');
    });

    it('of a user who is disconnected or banned end for good (P20)', async () => {
      for (const act of ['disconnect', 'ban'] as const) {
        const reader = await backend.open('rooms.1', { headers: { Authorization: `Bearer user-${act}` } });
        await reader.next('subscribed');
        await backend.server.engine[act](`user-${act}`);
        await reader.ended();
        expect(reader.received.at(-1)).toMatchObject({
          type: 'error',
          payload: { code: act === 'ban' ? 'banned' : 'kicked', retryable: false },
        });
        expect(reader.lastEventId).toBe('stop');
      }
      const banned = await backend.open('rooms.1', { headers: { Authorization: 'Bearer user-ban' } });
      expect(banned.status).toBe(403);
    });

    it('end with their token, and bring the client back soon (G12)', async () => {
      const reader = await backend.open('rooms.1,rooms.2', {
        headers: { Authorization: 'Bearer carol+400' },
      });
      await reader.next('subscribed');
      await reader.ended();
      expect(reader.isComplete).toBe(true);
      expect(reader.received.at(-1)).toMatchObject({ type: 'bye', payload: { code: 4008 } });
      expect(reader.retryMs).toBeLessThanOrEqual(500);
      expect(reader.lastEventId).toMatch(/^[\w-]{8}~/);
    });

    it('take no part in presence (P20)', async () => {
      const member = await backend.server.connect('member');
      await member.call({ type: 'subscribe', channel: 'rooms.shown', payload: {} });
      const reader = await backend.open('rooms.shown', { headers: { Authorization: 'Bearer alice' } });
      expect((await reader.next('subscribed')).payload['presence']).toBeUndefined();
      const { payload } = await member.call({ type: 'presence', channel: 'rooms.shown', payload: {} });
      expect(payload['count']).toBe(1);
    });

    it('are refused for a time as a stream that says when to come back (P20)', async () => {
      extra = await startBackend(makeFront, {
        channels: [wireChannel('rooms.:room')],
        settings: { anonymous: true, limits: { maxConnections: 1 } },
      });
      const first = await extra.open('rooms.1');
      await first.next('subscribed');
      const second = await extra.open('rooms.1');
      await second.ended();
      expect(second.status).toBe(200);
      expect(second.headers['content-type']).toBe('text/event-stream');
      expect(second.received).toMatchObject([
        { type: 'error', payload: { code: 'unavailable', retryable: true } },
      ]);
      expect(second.retryMs).toBeGreaterThanOrEqual(2_000);
    });

    it('are drained with the advice when to come back, and lose nothing by it (G18)', async () => {
      extra = await startBackend(makeFront, {
        channels: [wireChannel('rooms.:room')],
        settings: { anonymous: true, drainSpreadMs: 3_000 },
      });
      const reader = await extra.open('rooms.1,rooms.2');
      await reader.until('both outcomes', ({ received }) => received.length === 2);
      const { application } = extra.server.engine;
      await Promise.all([application.publish('rooms.1', 'said', 1), extra.server.engine.drain(2_000)]);
      await reader.ended();
      expect(reader.isComplete).toBe(true);
      expect(reader.types).toContain('event rooms.1');
      expect(reader.received.filter(({ type }) => type === 'bye')).toMatchObject([
        { payload: { code: 4001, spreadMs: 250 } },
      ]);
      expect(reader.retryMs).toBeLessThanOrEqual(250);
      expect(reader.lastEventId).toMatch(/\.1~[^~]+\.0$/);
      const late = await extra.open('rooms.1');
      expect(late.status).toBe(200);
      await late.ended();
      expect(late.received).toMatchObject([{ type: 'error', payload: { code: 'unavailable' } }]);
    });

    it('are sent a comment in every silence that a proxy would cut', async () => {
      extra = await startBackend(makeFront, {
        channels: [wireChannel('rooms.:room')],
        settings: { anonymous: true },
        sse: { heartbeatMs: 80 },
      });
      const reader = await extra.open('rooms.1');
      await reader.until(
        'three comments',
        ({ blocks }) => blocks.filter(({ comment }) => comment === '').length >= 3,
      );
      await extra.server.engine.application.publish('rooms.1', 'said', 'x');
      expect(await reader.payload()).toBe('x');
    });

    it('are bounded: a client that does not read is ended, and resumes (P25, G13)', async () => {
      extra = await startBackend(makeFront, {
        channels: [wireChannel('rooms.:room')],
        settings: { anonymous: true, outbox: { maxBytes: 64 * 1024 } },
      });
      const reader = await extra.open('rooms.1');
      await reader.next('subscribed');
      reader.response.pause();
      const { engine } = extra.server;
      const large = 'x'.repeat(64 * 1024);
      // Proxies and kernels buffer some megabytes first.
      for (let round = 0; engine.status.sessions > 0 && round < 2_000; round++)
        await engine.application.publish('rooms.1', 'said', large);
      expect(engine.status.sessions).toBe(0);
      reader.response.resume();
      await reader.ended().catch(() => undefined);
      const headers = { 'Last-Event-ID': reader.lastEventId };
      const again = await extra.open('rooms.1', { headers });
      expect((await again.next('subscribed')).payload['recovery']).toMatch(/complete|truncated/);
    });
  });
}
