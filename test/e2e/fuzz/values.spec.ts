import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { RealtimeClient, jsonCodec, type Codec } from '../../../lib/client/index.js';
import { msgpackCodec } from '../../../lib/client/msgpack.js';
import type { Envelope } from '../../../lib/protocol/envelope.js';
import { patience } from '../../support/patience.js';
import { PROPERTY_SEED } from '../../support/property.js';
import { until } from '../../support/until.js';
import { isSame, plainBytes, untagged, ValueGenerator, type GeneratedValue } from '../../support/values.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient, WireEnvelope } from '../../support/wire/client.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

// Ten thousand values of an application: every client gets the same of each, in either codec, live, replayed and from
// history, by the codecs of the library and by plain decoders of another author.

const VALUES = 10_000;
const PER_CHANNEL = 500;
const CLIENT_VALUES = 400;
const CODECS: readonly Codec[] = [jsonCodec, msgpackCodec];

let server: WireServer;
const values: GeneratedValue[] = [];

beforeAll(async () => {
  const generous = 1_000_000_000;
  server = await startWireServer({
    channels: [wireChannel('values.:part', { publish: ['given'], log: { maxBytes: generous } })],
    settings: {
      limits: {
        ratePerSecond: generous,
        burst: generous,
        userRatePerSecond: 0,
        bytesPerSecond: generous,
        maxMessageBytes: 1_000_000,
        maxFrameBytes: 10_000_000,
      },
      outbox: { maxBytes: generous, maxMessages: generous },
    },
  });
  const generator = new ValueGenerator(PROPERTY_SEED);
  for (let index = 0; index < VALUES; index++) values.push(generator.next());
});
afterAll(() => server.close());

/** A raw client that keeps its frames too, so that the codecs of the library can read what plain decoders read. */
interface Reader {
  readonly codec: Codec;
  readonly client: WireClient;
  readonly frames: (string | Uint8Array)[];
}

async function reader(codec: Codec): Promise<Reader> {
  const client = await server.open({ protocols: [codec.subprotocol] });
  const frames: (string | Uint8Array)[] = [];
  client.socket.on('message', (data: Buffer, isBinary) => frames.push(isBinary ? data : data.toString()));
  await client.hello('ada');
  return { codec, client, frames };
}

const isEvent = ({ type }: { readonly type: string }): boolean => type === 'event';

/** Payloads of the events that came, as plain decoders give them. */
const plainPayloads = ({ codec, client }: Reader): unknown[] =>
  client.received.filter(isEvent).map(({ payload }) => plain(codec, payload));

/** The same by the codecs of the library. */
const ownPayloads = ({ codec, frames }: Reader): unknown[] =>
  (frames.flatMap((frame) => codec.decode(frame)) as Envelope[])
    .filter(isEvent)
    .map(({ payload }) => payload);

const plain = ({ binary }: Codec, value: unknown): unknown => (binary ? plainBytes(value) : untagged(value));

/** Says which value differs first, and the seed that makes it. */
function expectAll(what: string, arrived: readonly unknown[], expected: readonly GeneratedValue[]): void {
  const wrong = expected.findIndex((value, index) => !isSame(arrived[index], value.expected));
  const context = `${what}: value ${wrong} of PROPERTY_SEED=${PROPERTY_SEED}`;
  if (wrong !== -1)
    expect({ context, arrived: arrived[wrong] }).toEqual({ context, arrived: expected[wrong]?.expected });
  expect(arrived).toHaveLength(expected.length);
}

async function come(readers: readonly Reader[], count: number): Promise<void> {
  const isHere = ({ client }: Reader): boolean => client.received.filter(isEvent).length >= count;
  await until(`${count} events`, () => readers.every(isHere), patience(60_000));
}

async function history({ client, codec }: Reader, channel: string): Promise<unknown[]> {
  const payloads: unknown[] = [];
  for (let from = 1, more = true; more;) {
    const page = await client.reply({ type: 'history', channel, payload: { from, limit: 1_000 } });
    const events = page['events'] as WireEnvelope[];
    payloads.push(...events.map(({ payload }) => plain(codec, payload)));
    more = page['more'] === true;
    from = (events.at(-1)?.seq ?? from) + 1;
  }
  return payloads;
}

describe('one value, one meaning', () => {
  it(`${VALUES} values of the application are the same in every codec, live, replayed and read (G27, P29)`, async () => {
    for (let start = 0; start < VALUES; start += PER_CHANNEL) {
      const channel = `values.${start}`;
      const expected = values.slice(start, start + PER_CHANNEL);
      const live = await Promise.all(CODECS.map(reader));
      for (const { client } of live) await client.reply({ type: 'subscribe', channel, payload: {} });
      const { application } = server.engine;
      const results = await Promise.all(
        expected.map(({ given }) => application.publish(channel, 'given', given)),
      );
      await come(live, PER_CHANNEL);
      const replayed = await Promise.all(CODECS.map(reader));
      const position = { epoch: results[0]?.epoch, seq: 0 };
      for (const { client } of replayed)
        await client.reply({ type: 'subscribe', channel, payload: { position } });
      await come(replayed, PER_CHANNEL);
      for (const one of [...live, ...replayed]) {
        const way = `${one.codec.name}, ${live.includes(one) ? 'live' : 'replayed'}`;
        expectAll(`${way}, plain decoder`, plainPayloads(one), expected);
        expectAll(`${way}, own codec`, ownPayloads(one), expected);
      }
      for (const one of live) expectAll(`${one.codec.name}, history`, await history(one, channel), expected);
      const own = await application.history(channel, { limit: 1_000 });
      expectAll(
        'history of the application',
        own.events.map(({ payload }) => payload),
        expected,
      );
      for (const { client } of [...live, ...replayed]) client.terminate();
    }
  });

  it.each(CODECS.map((codec) => [codec.name, codec] as const))(
    'what our client publishes by %s, our clients of either codec get (P29)',
    async (name, codec) => {
      const channel = `values.${name}`;
      const open = (own: Codec): RealtimeClient =>
        new RealtimeClient(server.url, { webSocket: WebSocket, codec: own, token: () => 'ada' });
      const [publisher, ...clients] = [codec, ...CODECS].map(open);
      try {
        const arrived = await Promise.all(
          clients.map(async (client) => {
            const payloads: unknown[] = [];
            const room = client.channel(channel);
            room.on('given', (payload) => void payloads.push(payload));
            await room.subscribe();
            return payloads;
          }),
        );
        const expected = values.slice(0, CLIENT_VALUES);
        for (const { given } of expected) await publisher?.channel(channel).publish('given', given);
        await until(
          'all events',
          () => arrived.every(({ length }) => length === CLIENT_VALUES),
          patience(60_000),
        );
        CODECS.forEach((own, index) => expectAll(`to ${own.name}`, arrived[index] ?? [], expected));
      } finally {
        for (const client of [publisher, ...clients]) void client?.close();
      }
    },
  );
});
