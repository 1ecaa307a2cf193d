import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { encode } from '@msgpack/msgpack';
import type { ConnectionRequest } from '../../../lib/core/ports/channel-definition.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient, WireEnvelope } from '../../support/wire/client.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';
import { NO_RATES } from '../../support/wire/no-rates.js';

const LIMITS = { maxFrameBytes: 8_000, maxMessageBytes: 2_000, maxEnvelopesPerFrame: 8 };
const CHANNELS = [
  wireChannel('rooms.:room', {
    presence: true,
    publish: ['said'],
    signals: ['typing'],
    behaviour: { requests: new Map([['echo', ({ payload }) => payload]]) },
  }),
];
const REQUESTS = new Map<string, ConnectionRequest>([
  ['echo', { authorize: 'public', handle: ({ payload }) => payload }],
]);

describe.each(['json', 'msgpack'] as const)('%s', (codec) => {
  const protocols = [`realtime.v1.${codec}`];
  let server: WireServer;
  let rooms = 0;
  beforeAll(async () => {
    server = await startWireServer({
      channels: CHANNELS,
      requests: REQUESTS,
      settings: { limits: { ...LIMITS, ...NO_RATES } },
    });
  });
  afterAll(() => server.close());

  const connect = (): Promise<WireClient> => server.connect('ada', { protocols });
  /** A channel that no other test uses. */
  const room = (): string => `rooms.${codec}-${++rooms}`;
  const bytesOf = (envelope: unknown): Buffer =>
    Buffer.from(codec === 'json' ? JSON.stringify(envelope) : encode(envelope, { maxDepth: 1_000 }));
  const frameOf = (parts: readonly Buffer[]): string | Buffer =>
    codec === 'json' ? parts.join('\n') : Buffer.concat(parts);
  /** A ping of exactly this many bytes. */
  const pingOf = (bytes: number, id = 'p1'): object => {
    const ping = { type: 'ping', id, meta: { pad: '' } };
    for (let length = Math.max(0, bytes - bytesOf(ping).length - 8); ; length++) {
      ping.meta.pad = 'x'.repeat(length);
      if (bytesOf(ping).length === bytes) return ping;
      if (length > bytes) throw new Error(`No ping has ${bytes} bytes`);
    }
  };

  describe('batches and limits (P4)', () => {
    it('a frame of several envelopes runs in order (P4)', async () => {
      const client = await connect();
      const channel = room();
      client.sendAll([
        { type: 'subscribe', id: 's1', channel },
        ...[1, 2, 3].map((payload) => ({
          type: 'publish',
          id: `m${payload}`,
          channel,
          event: 'said',
          payload,
        })),
      ]);
      // Events of what was published behind the subscribe may come in between.
      const answers: WireEnvelope[] = [];
      while (answers.length < 4) {
        const next = await client.next();
        if (next.type === 'reply') answers.push(next);
        else expect(next.type).toBe('event');
      }
      // A subscribe takes a turn that publishes do not need; among themselves they keep their order.
      const publishes = answers.filter(({ ref }) => ref !== 's1');
      expect(publishes.map(({ ref, payload }) => [ref, payload['seq']])).toEqual([
        ['m1', 1],
        ['m2', 2],
        ['m3', 3],
      ]);
    });

    it('the server batches what it sends in one turn, and the client reads the batch in order (P4)', async () => {
      const client = await connect();
      const channel = room();
      await client.subscribe(channel);
      const before = client.frames;
      await Promise.all(
        Array.from({ length: 50 }, (_, index) => server.engine.application.publish(channel, 'said', index)),
      );
      const events = await client.nextAll(50, 'event');
      expect(events.map(({ seq, payload }) => [seq, payload])).toEqual(
        Array.from({ length: 50 }, (_, index) => [index + 1, index]),
      );
      expect(client.frames - before).toBeLessThan(10);
    });

    if (codec === 'json') {
      it('empty lines are ignored and not counted (P4)', async () => {
        const client = await connect();
        client.send(`\n\n${JSON.stringify({ type: 'ping', id: 'p1' })}\n${'\n'.repeat(100)}`);
        client.send('\n');
        client.send('');
        client.send({ type: 'ping', id: 'p2' });
        expect((await client.next('pong')).ref).toBe('p1');
        expect((await client.next('pong')).ref).toBe('p2');
      });

      it('message size is counted in UTF-8 bytes, not in characters (P4)', async () => {
        const client = await connect();
        const wide = (length: number) => ({ type: 'ping', id: 'p1', meta: { pad: '€'.repeat(length) } });
        expect((await client.call(wide(600))).type).toBe('pong');
        client.send(wide(700));
        await client.expectClose(4806);
      });
    }

    it('a frame of maxEnvelopesPerFrame is accepted, one envelope more closes with 4805 (P4)', async () => {
      const client = await connect();
      const pings = (count: number) =>
        Array.from({ length: count }, (_, index) => ({ type: 'ping', id: `p${index}` }));
      client.sendAll(pings(LIMITS.maxEnvelopesPerFrame));
      expect(await client.nextAll(LIMITS.maxEnvelopesPerFrame, 'pong')).toHaveLength(8);
      client.sendAll(pings(LIMITS.maxEnvelopesPerFrame + 1));
      await client.expectClose(4805);
      expect(client.pending).toEqual([]);
    });

    it('a message of maxMessageBytes is accepted, one byte more closes with 4806 (P4, G24)', async () => {
      const client = await connect();
      expect((await client.call(pingOf(LIMITS.maxMessageBytes) as Record<string, unknown>)).type).toBe(
        'pong',
      );
      client.send(frameOf([bytesOf(pingOf(LIMITS.maxMessageBytes + 1))]));
      expect((await client.expectClose(4806)).reason).toBe('message_too_large|0');
    });

    it('a frame of maxFrameBytes is accepted, one byte more closes with 4806 (P4, G24)', async () => {
      const client = await connect();
      const separators = codec === 'json' ? 3 : 0;
      const parts = (bytes: number): Buffer[] => {
        const sizes = [2_000, 2_000, 2_000, bytes - separators - 6_000];
        return sizes.map((size, index) => bytesOf(pingOf(size, `p${index}`)));
      };
      client.send(frameOf(parts(LIMITS.maxFrameBytes)));
      expect(await client.nextAll(4, 'pong')).toHaveLength(4);
      const tooLarge = parts(LIMITS.maxFrameBytes - 200);
      client.send(frameOf([...tooLarge, bytesOf(pingOf(201 - (separators > 0 ? 1 : 0), 'p4'))]));
      await client.expectClose(4806);
      expect(client.pending).toEqual([]);
    });

    it('a frame above the limit is refused before it has arrived completely (P4, G24)', async () => {
      const client = await connect();
      client.socket.send('x'.repeat(4_000), { fin: false });
      client.socket.send('x'.repeat(4_001), { fin: false });
      await client.expectClose(4806);
    });

    it('a nesting depth of 128 is accepted, a deeper one closes with 4805 (P4)', async () => {
      const client = await connect();
      const nested = (levels: number): unknown => {
        let value: unknown = 1;
        for (let level = 0; level < levels; level++) value = [value];
        return value;
      };
      const request = (id: string, levels: number) =>
        frameOf([bytesOf({ type: 'request', id, event: 'echo', payload: nested(levels) })]);
      // The envelope itself is the first level.
      client.send(request('r1', 127));
      expect((await client.take({ ref: 'r1' })).payload).toEqual(nested(127));
      client.send(request('r2', 128));
      await client.expectClose(4805);
    });

    it('no envelope of an invalid frame runs (P4a)', async () => {
      const channel = room();
      const publish = bytesOf({ type: 'publish', id: 'm1', channel, event: 'said', payload: 1 });
      const broken = [
        frameOf([publish, bytesOf({ type: 'ping' }).subarray(0, 5)]),
        frameOf([publish, bytesOf(pingOf(LIMITS.maxMessageBytes + 1))]),
        frameOf([
          publish,
          ...Array.from({ length: LIMITS.maxEnvelopesPerFrame }, () => bytesOf({ type: 'bye' })),
        ]),
      ];
      for (const frame of broken) {
        const client = await connect();
        client.send(frame);
        const { code } = await client.expectClose();
        expect([4805, 4806]).toContain(code);
      }
      expect((await server.engine.application.history(channel)).events).toEqual([]);
    });

    it('WebSocket fragments are joined into one message (P4c)', async () => {
      const client = await connect();
      const ping = frameOf([bytesOf({ type: 'ping', id: 'p1' })]);
      for (let index = 0; index < ping.length; index++) {
        client.socket.send(ping.slice(index, index + 1), {
          binary: codec === 'msgpack',
          fin: index === ping.length - 1,
        });
      }
      expect((await client.next('pong')).ref).toBe('p1');
    });
  });

  describe('fields (P5)', () => {
    it('an event carries the published fields and the fields that only the server may set (P5)', async () => {
      const client = await connect();
      const channel = room();
      const { position } = (await client.subscribe(channel)) as { position: { epoch: string } };
      const before = Date.now();
      await client.reply({
        type: 'publish',
        id: 'm1',
        channel,
        event: 'said',
        payload: { text: 'hi', list: [1, null, 'ü'] },
        key: 'k1',
        ttl: 60_000,
        trace: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        meta: { locale: 'de' },
        ts: 12,
        seq: 77,
        epoch: 'mine',
        user: 'eve',
      });
      const event = await client.take({ type: 'event' });
      expect(event).toEqual({
        type: 'event',
        channel,
        event: 'said',
        seq: 1,
        epoch: position.epoch,
        id: 'm1',
        ts: expect.any(Number),
        user: 'ada',
        key: 'k1',
        ttl: 60_000,
        // This node does not trace: no other one shall record what it did not.
        trace: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00',
        meta: { locale: 'de' },
        payload: { text: 'hi', list: [1, null, 'ü'] },
      });
      expect(event.ts).toBeGreaterThanOrEqual(before);
    });

    it('fields without a value are omitted; null is a valid payload (P5)', async () => {
      const client = await connect();
      const channel = room();
      await client.subscribe(channel);
      await client.reply({ type: 'publish', channel, event: 'said', payload: null });
      const withNull = await client.take({ type: 'event' });
      expect(withNull.payload).toBeNull();
      await client.reply({ type: 'publish', channel, event: 'said' });
      const without = await client.take({ type: 'event' });
      expect(Object.keys(without).sort()).toEqual(
        ['channel', 'epoch', 'event', 'id', 'seq', 'ts', 'type', 'user'].sort(),
      );
    });

    it.each(['ts', 'ref', 'trace', 'meta', 'key', 'ttl', 'after'])(
      'null is a wrong type for the field %s (P5b)',
      async (field) => {
        const client = await connect();
        const error = await client.error({ type: 'publish', channel: room(), event: 'said', [field]: null });
        expect(error).toMatchObject({ code: 'bad_request', details: [{ path: field }] });
      },
    );

    it('an id has 1 to 64 characters; a command without a valid id is answered without ref (P5, P6b)', async () => {
      const client = await connect();
      expect((await client.call({ type: 'ping', id: 'x'.repeat(64) })).type).toBe('pong');
      for (const id of ['', 'x'.repeat(65), 7, null, undefined, ['p1'], { p: 1 }]) {
        client.send({ type: 'ping', ...(id === undefined ? {} : { id }) });
        const error = await client.next('error');
        expect(error).toMatchObject({ payload: { code: 'bad_request', details: [{ path: 'id' }] } });
        expect(Object.keys(error)).not.toContain('ref');
      }
    });

    it('a payload with only optional fields may be omitted or empty (P5c)', async () => {
      const client = await connect();
      const channel = room();
      expect(await client.reply({ type: 'subscribe', channel })).toMatchObject({ recovery: 'new' });
      expect(await client.reply({ type: 'history', channel })).toMatchObject({ events: [], more: false });
      expect(await client.reply({ type: 'history', channel, payload: {} })).toMatchObject({ events: [] });
      expect(await client.reply({ type: 'presence', channel })).toMatchObject({ count: 1 });
      expect(await client.reply({ type: 'presence_update', channel })).toEqual({});
    });
  });

  describe('unknown fields and malformed envelopes (P6)', () => {
    it('unknown fields are ignored, also in payloads that the protocol defines (P6a)', async () => {
      const client = await connect();
      const channel = room();
      const payload = {
        snapshot: true,
        colour: 'red',
        presence: { data: 1, colour: 'red' },
      };
      expect(await client.reply({ type: 'subscribe', channel, payload, colour: 'red' })).toMatchObject({
        recovery: 'new',
      });
    });

    it('details names every wrong field by its path (P6b)', async () => {
      const client = await connect();
      const error = await client.error({
        type: 'subscribe',
        channel: 'rooms..1',
        ts: 'now',
        payload: { position: { epoch: 7 }, snapshot: 'yes', presence: true },
      });
      expect(error.code).toBe('bad_request');
      expect(error.details?.map(({ path }) => path).sort()).toEqual(
        [
          'channel',
          'payload.position.epoch',
          'payload.position.seq',
          'payload.presence',
          'payload.snapshot',
          'ts',
        ].sort(),
      );
      expect((await client.call({ type: 'ping' })).type).toBe('pong');
    });

    it.each([[null], [7], ['ping'], [true], [[]], [[{ type: 'ping', id: 'p1' }]]])(
      'the malformed envelope %j is answered with an error, and the connection continues (P6b, P7a)',
      async (value) => {
        const client = await connect();
        client.send(frameOf([bytesOf(value), bytesOf({ type: 'ping', id: 'p2' })]));
        const { payload } = await client.take({ type: 'error' });
        expect(payload).toMatchObject({ code: 'bad_request' });
        // P7a: no field of it is wrong, so there are no details.
        expect(payload).not.toHaveProperty('details');
        expect((await client.take({ type: 'pong' })).ref).toBe('p2');
      },
    );

    it('a frame that cannot be parsed closes with 4805 (P6c)', async () => {
      for (const frame of codec === 'json'
        ? ['{', 'ping', '{"type":"ping",}', '\u0000']
        : [[0xc1], [0xd9], [0x92, 1]]) {
        const client = await connect();
        client.send(typeof frame === 'string' ? frame : Buffer.from(frame));
        expect((await client.expectClose(4805)).reason).toBe('protocol_error|0');
      }
    });
  });

  describe('one answer to each command (P7)', () => {
    it('each command gets exactly one answer with its ref, whether it succeeds or fails (P7)', async () => {
      const client = await connect();
      const channel = room();
      const commands = [
        { type: 'subscribe', channel },
        { type: 'subscribe', channel },
        { type: 'publish', channel, event: 'said', payload: 1 },
        { type: 'publish', channel, event: 'unsaid' },
        { type: 'signal', channel, event: 'typing' },
        { type: 'signal', channel, event: 'shouting' },
        { type: 'request', channel, event: 'echo', payload: 1 },
        { type: 'request', channel, event: 'nothing' },
        { type: 'request', event: 'echo', payload: 2 },
        { type: 'history', channel },
        { type: 'history', channel: 'halls.1' },
        { type: 'presence', channel },
        { type: 'presence_update', channel, payload: { data: 1 } },
        { type: 'auth', payload: { token: 'ada' } },
        { type: 'auth', payload: { token: 'eve' } },
        { type: 'auth', payload: {} },
        { type: 'ping' },
        { type: 'shout' },
        { type: 'unsubscribe', channel: room() },
        { type: 'unsubscribe', channel: 'halls.1' },
        { type: 'hello', payload: { versions: [1] } },
      ].map((command, index) => ({ ...command, id: `c-${index}` }));
      for (let from = 0; from < commands.length; from += 8) client.sendAll(commands.slice(from, from + 8));
      const answers: WireEnvelope[] = [];
      for (const { id } of commands) answers.push(await client.take({ ref: id }));
      await client.call({ type: 'ping', id: 'last' });
      const refs = client.received.flatMap(({ ref }) => (ref?.startsWith('c-') ? [ref] : []));
      expect(refs.sort()).toEqual(commands.map(({ id }) => id).sort());
      expect(answers.map(({ type, payload }) => (type === 'error' ? payload['code'] : type))).toEqual([
        'reply',
        'already_subscribed',
        'reply',
        'forbidden',
        'reply',
        'forbidden',
        'reply',
        'bad_request',
        'reply',
        'reply',
        'unknown_channel',
        'reply',
        'reply',
        'reply',
        'forbidden',
        'bad_request',
        'pong',
        'bad_request',
        'reply',
        'reply',
        'bad_request',
      ]);
    });

    it('pong is not answered, and bye is answered by the close (P7)', async () => {
      const client = await connect();
      client.sendAll([{ type: 'pong' }, { type: 'pong', ref: 'p1' }, { type: 'pong', id: 'x1' }]);
      expect((await client.call({ type: 'ping', id: 'p1' })).type).toBe('pong');
      expect(client.pending).toEqual([]);
      client.sendAll([
        { type: 'bye', id: 'b1' },
        { type: 'ping', id: 'p2' },
      ]);
      expect(await client.expectClose(1000)).toEqual({ code: 1000, reason: 'normal|0' });
      expect(client.pending).toEqual([]);
    });

    it('a reply without content has the payload {}, a reply to a request null (P7a)', async () => {
      const client = await connect();
      expect(await client.reply({ type: 'unsubscribe', channel: room() })).toEqual({});
      expect(await client.reply({ type: 'request', event: 'echo' })).toBeNull();
    });
  });

  describe('channel names (P23)', () => {
    it.each([
      'rooms.A-z_0:9@~',
      `rooms.${'x'.repeat(194)}`,
      'rooms.:room',
      'rooms.~',
      'rooms.-',
      'rooms.@:_',
    ])('the channel name %s is accepted (P23)', async (channel) => {
      const client = await connect();
      expect((await client.subscribe(channel))['recovery']).toBe('new');
    });

    it.each([
      '',
      '.',
      'rooms',
      'rooms.',
      '.rooms.1',
      'rooms..1',
      'rooms.1 ',
      'rooms.ä',
      'rooms.a/b',
      'rooms.*',
      'rooms.a\n',
      'rooms.a\u0000',
      'rooms.$1',
      '$$user.1',
      `rooms.${'x'.repeat(195)}`,
    ])('the channel name %j is refused (P23d)', async (channel) => {
      const client = await connect();
      const { code } = await client.error({ type: 'subscribe', channel });
      expect(code).toBe(channel === 'rooms' ? 'unknown_channel' : 'bad_request');
    });

    it('channel names are case-sensitive, and every other character matters too (P23)', async () => {
      const client = await connect();
      const channel = room();
      await client.subscribe(channel);
      await client.reply({ type: 'publish', channel: `${channel}~`, event: 'said', payload: 1 });
      await client.reply({
        type: 'publish',
        channel: channel.replace('rooms.', 'rooms.R'),
        event: 'said',
        payload: 1,
      });
      expect(
        (await client.error({ type: 'subscribe', channel: channel.replace('rooms', 'Rooms') })).code,
      ).toBe('unknown_channel');
      await client.call({ type: 'ping' });
      expect(client.pending).toEqual([]);
      expect((await server.engine.application.history(`${channel}~`)).position.seq).toBe(1);
    });

    it('names that begin with $ are reserved; a user may subscribe only to the own channel of these (P23b, P23c)', async () => {
      const client = await connect();
      expect((await client.subscribe('$user.ada'))['recovery']).toBe('new');
      expect((await client.error({ type: 'subscribe', channel: '$user.bob' })).code).toBe('forbidden');
      expect((await client.error({ type: 'subscribe', channel: '$system' })).code).toBe('unknown_channel');
      expect((await client.error({ type: 'publish', channel: '$user.ada', event: 'said' })).code).toBe(
        'forbidden',
      );
      const odd = await server.connect('auth0|7', { protocols });
      expect((await odd.subscribe('$user.auth0~7C7'))['recovery']).toBe('new');
      await server.engine.application.publish('$user.auth0~7C7', 'greeted', 'hi');
      expect(await odd.next('event')).toMatchObject({ channel: '$user.auth0~7C7', payload: 'hi' });
    });
  });
});
