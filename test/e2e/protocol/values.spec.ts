import { afterEach, describe, expect, it } from '@jest/globals';
import { encode, ExtData } from '@msgpack/msgpack';
import type { ChannelBehaviour, HandlerCall } from '../../../lib/core/ports/channel-definition.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { plainBytes, untagged } from '../../support/values.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

let server: WireServer;
afterEach(() => server.close());

class Account {
  readonly id = 7;
  readonly passwordHash = 'secret';
  toJSON(): unknown {
    return { id: this.id };
  }
}

const AT = new Date(Date.UTC(2026, 0, 1));
/** What an application may give, and what every client must get of it. */
const given = (): unknown => ({
  account: new Account(),
  at: AT,
  bytes: Buffer.from([1, 2, 255]),
  not: { $bytes: 'AQ==' },
  nan: NaN,
  gone: undefined,
});
const EXPECTED = {
  account: { id: 7 },
  at: AT.toISOString(),
  bytes: Uint8Array.of(1, 2, 255),
  not: { $bytes: 'AQ==' },
  nan: null,
};
const REFUSED = (): unknown => ({ a: [new Map([[1, 2]])] });

const CODECS = ['json', 'msgpack'] as const;
const FORMS = ['at once', 'later'] as const;

/** A handler's result, at once or as a promise. */
const inForm = <T>(form: (typeof FORMS)[number], value: T): T | Promise<T> =>
  form === 'at once' ? value : Promise.resolve(value);

async function start(
  behaviour: Partial<ChannelBehaviour> = {},
  options: WireServerOptions = {},
): Promise<void> {
  const publish = new Map([['said', undefined]]);
  const channels = [
    wireChannel('rooms.:room', { presence: true, signals: ['typing'], behaviour: { publish, ...behaviour } }),
  ];
  server = await startWireServer({ channels, ...options });
}

const connect = (codec: (typeof CODECS)[number], name = 'ada'): Promise<WireClient> =>
  server.connect(name, { protocols: [`realtime.v1.${codec}`] });

/** A value that came, by the rules of its codec as the document has them. */
const read = (codec: (typeof CODECS)[number], value: unknown): unknown =>
  codec === 'json' ? untagged(value) : plainBytes(value);

/** The payload of the next message of that type, at a subscriber of each codec. */
async function bothSee(type: string, act: () => Promise<unknown>, field = 'payload'): Promise<unknown[]> {
  const clients = await Promise.all(CODECS.map((codec) => connect(codec)));
  for (const client of clients) await client.subscribe('rooms.1');
  await act();
  return Promise.all(
    CODECS.map(async (codec, index) => {
      const message = (await clients[index]?.take({ type })) as unknown as Record<string, unknown>;
      return read(codec, message[field]);
    }),
  );
}

describe('a value of the application means the same in every codec (P29, G27)', () => {
  const app = () => server.engine.application;

  it('published by the application, with its meta', async () => {
    await start();
    const publish = () =>
      app().publish('rooms.1', 'said', given(), { meta: given() as Record<string, unknown> });
    expect(await bothSee('event', publish)).toStrictEqual([EXPECTED, EXPECTED]);
    expect(await bothSee('event', publish, 'meta')).toStrictEqual([EXPECTED, EXPECTED]);
  });

  it('signalled by the application', async () => {
    await start();
    expect(await bothSee('signal', () => app().signal('rooms.1', 'typing', given()))).toStrictEqual([
      EXPECTED,
      EXPECTED,
    ]);
  });

  it.each(FORMS)('returned by a publish handler %s', async (form) => {
    await start({ publish: new Map([['said', () => inForm(form, given())]]) });
    const publish = async () =>
      (await connect('json', 'bob')).reply({
        type: 'publish',
        channel: 'rooms.1',
        event: 'said',
        payload: 1,
      });
    expect(await bothSee('event', publish)).toStrictEqual([EXPECTED, EXPECTED]);
  });

  it.each(FORMS)(
    'put into the payload by a publish handler that returns nothing %s, and kept there',
    async (form) => {
      let kept: Record<string, unknown> = {};
      const handler = ({ payload }: HandlerCall): unknown => {
        kept = Object.assign(payload as Record<string, unknown>, given());
        return inForm(form, undefined);
      };
      await start({ publish: new Map([['said', handler]]) });
      const publish = async () => {
        const bob = await connect('json', 'bob');
        await bob.reply({ type: 'publish', channel: 'rooms.1', event: 'said', payload: {} });
        kept['later'] = 1n;
      };
      expect(await bothSee('event', publish)).toStrictEqual([EXPECTED, EXPECTED]);
      expect((await app().history('rooms.1')).events[0]?.payload).toStrictEqual(EXPECTED);
    },
  );

  it.each(FORMS)('returned by a request handler %s', async (form) => {
    await start({
      requests: new Map([['ask', () => inForm(form, given())]]),
      authorize: { subscribe: 'public', request: 'public' },
    });
    for (const codec of CODECS) {
      const { payload } = await (
        await connect(codec)
      ).call({ type: 'request', channel: 'rooms.1', event: 'ask' });
      expect(read(codec, payload)).toStrictEqual(EXPECTED);
    }
  });

  it.each([true, false])('of a snapshot, shared by subscribers: %s', async (shareable) => {
    const state = given() as Record<string, unknown>;
    const run = async () => ({ state });
    await start({ snapshot: { shareable, run } });
    const clients = await Promise.all(CODECS.map((codec) => connect(codec)));
    const answers = clients.map((client) => client.subscribe('rooms.1'));
    for (const [index, codec] of CODECS.entries())
      expect(read(codec, (await answers[index])?.['snapshot'])).toStrictEqual(EXPECTED);
  });

  it.each(FORMS)('in the details and the message of an error, thrown %s', async (form) => {
    const error = new RealtimeError('validation_failed', 'x\ud800', { details: [given() as never] });
    const ask = (): unknown => {
      if (form === 'at once') throw error;
      return Promise.reject(error);
    };
    await start({ requests: new Map([['ask', ask]]), authorize: { subscribe: 'public', request: 'public' } });
    for (const codec of CODECS) {
      const body = await (await connect(codec)).error({ type: 'request', channel: 'rooms.1', event: 'ask' });
      expect(read(codec, body.details)).toStrictEqual([EXPECTED]);
      expect(body.message).toBe('x\ufffd');
    }
  });
});

describe('a value of a client means the same in every codec, and to handlers (P29)', () => {
  /** What a client of each codec sends for it. */
  const sent = {
    json: { ...EXPECTED, bytes: { $bytes: 'AQL/' }, not: { $$bytes: 'AQ==' } },
    msgpack: { ...EXPECTED, at: AT },
  };

  it.each(CODECS)('published by %s, with its meta, and given to the handler', async (codec) => {
    const calls: HandlerCall[] = [];
    await start({ publish: new Map([['said', (call) => void calls.push(call)]]) });
    const command = {
      type: 'publish',
      channel: 'rooms.1',
      event: 'said',
      payload: sent[codec],
      meta: sent[codec],
    };
    let publishers = 0;
    const publish = async () => (await connect(codec, `bob${publishers++}`)).reply(command);
    expect(await bothSee('event', publish)).toStrictEqual([EXPECTED, EXPECTED]);
    expect(await bothSee('event', publish, 'meta')).toStrictEqual([EXPECTED, EXPECTED]);
    for (const { payload, meta } of calls) {
      expect(payload).toStrictEqual(EXPECTED);
      expect(meta).toStrictEqual(EXPECTED);
      expect(Object.getPrototypeOf((payload as typeof EXPECTED).bytes)).toBe(Uint8Array.prototype);
    }
  });

  it.each(CODECS)('signalled by %s', async (codec) => {
    await start();
    const signal = async () => {
      const bob = await connect(codec, 'bob');
      await bob.subscribe('rooms.1');
      await bob.reply({ type: 'signal', channel: 'rooms.1', event: 'typing', payload: sent[codec] });
    };
    expect(await bothSee('signal', signal)).toStrictEqual([EXPECTED, EXPECTED]);
  });

  it.each(CODECS)('sent by %s with a request or as params, and echoed', async (codec) => {
    await start({
      requests: new Map([['echo', ({ payload }) => payload]]),
      authorize: { subscribe: 'public', request: 'public' },
      snapshot: { shareable: false, run: ({ payload }) => ({ state: payload }) },
    });
    const client = await connect(codec);
    const { payload } = await client.call({
      type: 'request',
      channel: 'rooms.1',
      event: 'echo',
      payload: sent[codec],
    });
    expect(read(codec, payload)).toStrictEqual(EXPECTED);
    const answer = await client.reply({
      type: 'subscribe',
      channel: 'rooms.1',
      payload: { params: sent[codec] },
    });
    expect(read(codec, answer['snapshot'])).toStrictEqual(EXPECTED);
  });

  it.each(CODECS)('shown by %s in presence, at the subscribe and after a change', async (codec) => {
    await start();
    const bob = await connect(codec, 'bob');
    await bob.reply({ type: 'subscribe', channel: 'rooms.1', payload: { presence: { data: sent[codec] } } });
    for (const reader of CODECS) {
      const page = await (
        await connect(reader)
      ).reply({ type: 'subscribe', channel: 'rooms.1', payload: {} });
      const members = (page['presence'] as { members: { id: string; data?: unknown }[] }).members;
      expect(read(reader, members.find(({ id }) => id === 'bob')?.data)).toStrictEqual(EXPECTED);
    }
    const update = () =>
      bob.reply({ type: 'presence_update', channel: 'rooms.1', payload: { data: [sent[codec]] } });
    for (const reader of CODECS) {
      const client = await connect(reader, `reader of ${reader}`);
      await client.subscribe('rooms.1');
      await update();
      const { payload } = await client.take({ type: 'presence' });
      const diff = read(reader, payload) as { update: { data: unknown }[] };
      expect(diff.update[0]?.data).toStrictEqual([EXPECTED]);
      await bob.reply({ type: 'presence_update', channel: 'rooms.1', payload: { data: 1 } });
    }
    await update();
    const own = await server.engine.application.members('rooms.1');
    expect(own.members.find(({ id }) => id === 'bob')?.data).toStrictEqual([EXPECTED]);
  });

  it('closes a MessagePack connection that sends another extension type (P1f)', async () => {
    await start();
    const client = await connect('msgpack');
    client.send(
      encode({
        type: 'publish',
        id: 'p',
        channel: 'rooms.1',
        event: 'said',
        payload: new ExtData(5, Uint8Array.of(1)),
      }),
    );
    await client.expectClose(4805);
  });
});

describe('an event is fixed when it is given (G27)', () => {
  it('however often the same object is published, and whatever is done to it then', async () => {
    await start();
    const { application } = server.engine;
    const client = await connect('json');
    const { position } = await client.subscribe('rooms.1');
    const game: Record<string, unknown> = { score: 0 };
    const meta: Record<string, unknown> = { turn: 0 };
    const moves = [1, 2, 3].map((score) => {
      Object.assign(game, { score });
      Object.assign(meta, { turn: score });
      return application.publish('rooms.1', 'said', game, { meta });
    });
    game['total'] = 10n;
    await Promise.all(moves);
    const live = await client.nextAll(3, 'event');
    const replayed = await connect('json');
    await replayed.reply({ type: 'subscribe', channel: 'rooms.1', payload: { position } });
    for (const events of [
      live,
      await replayed.nextAll(3, 'event'),
      (await application.history('rooms.1')).events,
    ]) {
      expect(events.map(({ payload }) => payload)).toEqual([{ score: 1 }, { score: 2 }, { score: 3 }]);
      expect(events.map((event) => event.meta)).toEqual([{ turn: 1 }, { turn: 2 }, { turn: 3 }]);
    }
    expect(replayed.ended).toBeUndefined();
  });

  it('also by the handler, which returns the same object each time', async () => {
    const game = { score: 0 };
    await start({ publish: new Map([['said', () => (game.score++, game)]]) });
    const client = await connect('json');
    await client.subscribe('rooms.1');
    for (let index = 0; index < 3; index++)
      client.send({ type: 'publish', id: `p${index}`, channel: 'rooms.1', event: 'said' });
    for (const score of [1, 2, 3]) expect((await client.take({ type: 'event' })).payload).toEqual({ score });
    const { events } = await server.engine.application.history('rooms.1');
    expect(events.map(({ payload }) => payload)).toEqual([{ score: 1 }, { score: 2 }, { score: 3 }]);
  });

  it('and what the application does to a page that it read changes nothing', async () => {
    await start();
    const { application } = server.engine;
    await application.publish('rooms.1', 'said', { list: [1] });
    const read = async () => (await application.history('rooms.1')).events[0]?.payload as { list: number[] };
    (await read()).list.push(2);
    expect(await read()).toEqual({ list: [1] });
  });
});

describe('what would arrive empty is refused with its path (P29d)', () => {
  it('of the application, at every door', async () => {
    await start();
    const { application } = server.engine;
    const meta = REFUSED() as Record<string, unknown>;
    const error = {
      code: 'bad_request',
      message: expect.stringMatching(/^payload\.a\.0 is of the class Map/),
    };
    await expect(application.publish('rooms.1', 'said', REFUSED())).rejects.toMatchObject(error);
    await expect(application.publish('rooms.1', 'said', REFUSED(), { id: 'i' })).rejects.toMatchObject(error);
    await expect(application.signal('rooms.1', 'said', REFUSED())).rejects.toMatchObject(error);
    await expect(application.publish('rooms.1', 'said', 1, { meta })).rejects.toMatchObject({
      message: expect.stringMatching(/^meta\.a\.0/),
    });
    expect((await application.history('rooms.1')).events).toEqual([]);
  });

  it.each(FORMS)(
    'of a handler %s: internal to the client, of a snapshot unavailable, with the path in the log',
    async (form) => {
      await start({
        publish: new Map([['said', () => inForm(form, REFUSED())]]),
        requests: new Map([['ask', () => inForm(form, REFUSED())]]),
        authorize: { subscribe: 'public', publish: 'public', request: 'public' },
        snapshot: { shareable: true, run: () => inForm(form, { state: REFUSED() }) },
      });
      const client = await connect('json');
      for (const [command, name, code] of [
        [{ type: 'publish', event: 'said', payload: 1 }, 'payload', 'internal'],
        [{ type: 'request', event: 'ask' }, 'reply', 'internal'],
        [{ type: 'subscribe', payload: {} }, 'snapshot', 'unavailable'],
      ] as const) {
        expect((await client.error({ ...command, channel: 'rooms.1' })).code).toBe(code);
        expect(String((server.records.at(-1)?.error as Error | undefined)?.message)).toContain(
          `${name}.a.0 is of the class Map`,
        );
      }
      expect(client.ended).toBeUndefined();
    },
  );
});

describe('an event has a largest size (P29e)', () => {
  const settings = { limits: { maxEventBytes: 2_000, maxMessageBytes: 60_000 } };
  /** With the name `said` and no other field but an id of three characters. */
  const exactly = (bytes: number): string => 'x'.repeat(bytes - 'said'.length - 'abc'.length - 2);

  it('to the byte, of the application, with everything that counts', async () => {
    await start({}, { settings });
    const { application } = server.engine;
    const publish = (payload: unknown, options: object = {}) =>
      application.publish('rooms.1', 'said', payload, { id: 'abc', ...options });
    for (const [payload, options] of [
      [exactly(2_001)],
      [exactly(2_000), { key: 'k' }],
      [exactly(2_000), { user: 'u' }],
      [exactly(2_000), { trace: 't' }],
      // Bytes, not characters.
      [exactly(1_999), { key: 'ä' }],
      [exactly(1_999), { user: 'ä' }],
      [exactly(1_999), { trace: 'ä' }],
      [exactly(1_999), { meta: {} }],
      ['ä'.repeat(1_000)],
      [new Uint8Array(1_500)],
    ] as const)
      await expect(publish(payload, options)).rejects.toMatchObject({
        code: 'message_too_large',
        message: expect.stringMatching(/has \d+ bytes, and limits\.maxEventBytes is 2000\. Send less/),
      });
    await expect(publish(exactly(2_000))).resolves.toMatchObject({ seq: 1 });
    await expect(application.signal('rooms.1', 'said', exactly(2_004))).rejects.toMatchObject({
      code: 'message_too_large',
    });
    await application.signal('rooms.1', 'said', exactly(2_003));
  });

  it.each(FORMS)('of a client, and of what a handler returns %s', async (form) => {
    await start(
      {
        publish: new Map([
          ['said', ({ payload }) => inForm(form, payload === 'grow' ? exactly(3_000) : undefined)],
        ]),
      },
      { settings },
    );
    const client = await connect('json');
    await client.subscribe('rooms.1');
    const command = { type: 'publish', channel: 'rooms.1', event: 'said' };
    for (const payload of ['grow', exactly(3_000)])
      expect((await client.error({ ...command, payload })).code).toBe('message_too_large');
    const signal = { type: 'signal', channel: 'rooms.1', event: 'typing', payload: exactly(3_000) };
    expect((await client.error(signal)).code).toBe('message_too_large');
    await client.reply({ ...command, payload: 'small' });
    expect((await server.engine.application.history('rooms.1')).events).toHaveLength(1);
  });

  it('tells the broker the size of each event', async () => {
    const sizes: number[] = [];
    await start();
    const { log } = server.broker;
    const append = log.appendMany.bind(log);
    log.appendMany = (requests) => {
      sizes.push(...requests.map(({ bytes }) => bytes));
      return append(requests);
    };
    const { application } = server.engine;
    await application.publish(
      'rooms.1',
      'said',
      { a: 'é' },
      { id: 'abc', user: 'u', key: 'kk', meta: { b: 1 } },
    );
    await application.publish('rooms.1', 'said', undefined, { id: 'abd' });
    await (
      await connect('json')
    ).reply({ type: 'publish', id: 'p', channel: 'rooms.1', event: 'said', payload: [1] });
    expect(sizes).toEqual([10 + 7 + 4 + 3 + 1 + 2, 4 + 3, 3 + 4 + 1 + 'ada'.length]);
  });
});
