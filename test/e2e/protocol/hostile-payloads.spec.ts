import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { encode } from '@msgpack/msgpack';
import type { Codec, Encoded } from '../../../lib/protocol/codecs/codec.js';
import { jsonCodec } from '../../../lib/protocol/codecs/json.js';
import { msgpackCodec } from '../../../lib/protocol/codecs/msgpack.js';
import type { Envelope } from '../../../lib/protocol/envelope.js';
import { until } from '../../support/until.js';
import { assertStrings } from '../../support/wire/msgpack-strings.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient, WireEnvelope } from '../../support/wire/client.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

const CODECS: Readonly<Record<string, Codec>> = { json: jsonCodec, msgpack: msgpackCodec };
/** Brackets around a value. */
const nested = (levels: number): string => '['.repeat(levels) + '1' + ']'.repeat(levels);

/** A subscriber that reads as strictly as the library's own client does: what it cannot read ends its connection. */
class Reader {
  readonly envelopes: Envelope[] = [];
  readonly failures: string[] = [];

  constructor(
    readonly client: WireClient,
    codec: Codec,
  ) {
    client.socket.on('message', (data, isBinary) => {
      const frame: Encoded = isBinary ? (data as Buffer) : (data as Buffer).toString();
      try {
        if (isBinary) assertStrings(data as Buffer);
        this.envelopes.push(...(codec.decode(frame) as Envelope[]));
      } catch (error) {
        this.failures.push(String(error));
      }
    });
  }
}

describe('payloads of one client as other clients receive them', () => {
  let server: WireServer;
  let rooms = 0;
  beforeAll(async () => {
    server = await startWireServer({
      channels: [wireChannel('rooms.:room', { presence: true, publish: ['said'], signals: ['typing'] })],
    });
  });
  afterAll(() => server.close());

  const hostile: readonly [string, string][] = [
    ['a __proto__ key', '{"__proto__":{"polluted":true}}'],
    ['a __proto__ key that is escaped', '{"\\u005f_proto__":1}'],
    ['a nested __proto__ key', '{"a":[{"b":{"__proto__":null}}]}'],
    ['a constructor key', '{"constructor":{"prototype":{"polluted":true}}}'],
    ['a toJSON key', '{"toJSON":"no","then":1,"length":-1}'],
    ['a lone surrogate', '"\\ud800"'],
    ['a lone surrogate in a key', '{"\\udfff":1}'],
    ['line separators', '"\\n\\u2028\\u2029\\u0000"'],
    ['huge numbers', '[1e308,-1e308,1e400,9007199254740993,-0,0.1]'],
    ['the deepest accepted nesting', nested(127)],
    ['deeply nested objects', '{"a":'.repeat(126) + '1' + '}'.repeat(126)],
  ];

  it.each(hostile)(
    '%s as payload, meta or presence data is refused, or readable by every subscriber (P4, G3)',
    async (_, text) => {
      const channel = `rooms.${++rooms}`;
      const readers: Reader[] = [];
      for (const name of Object.keys(CODECS)) {
        const client = await server.connect(`reader-${name}`, { protocols: [`realtime.v1.${name}`] });
        readers.push(new Reader(client, CODECS[name] as Codec));
        await client.subscribe(channel);
      }
      const sent = [
        `{"type":"publish","id":"m1","channel":"${channel}","event":"said","payload":${text}}`,
        `{"type":"publish","id":"m2","channel":"${channel}","event":"said","meta":{"m":${text}}}`,
        `{"type":"signal","id":"g1","channel":"${channel}","event":"typing","payload":${text}}`,
        `{"type":"presence_update","id":"u1","channel":"${channel}","payload":{"data":${text}}}`,
      ];
      for (const [index, line] of sent.entries()) {
        // Each on its own connection: a refusal of one must not spare the others.
        const client = await server.connect(`sender-${index}`);
        await client.subscribe(channel);
        client.send(line);
        const ref = /"id":"(\w+)"/.exec(line)?.[1] as string;
        const answer = await client.take({ ref }).catch(() => undefined);
        if (answer === undefined) await client.expectClose(4805);
        else expect(['reply', 'error']).toContain(answer.type);
      }
      await server.engine.application.publish(channel, 'said', 'the last');
      const isLast = ({ payload }: WireEnvelope | Envelope) => payload === 'the last';
      for (const { client, failures, envelopes } of readers) {
        await until('the last event', () => failures.length > 0 || envelopes.some(isLast));
        await client.call({ type: 'history', channel, id: 'y1', payload: {} });
        await client.call({ type: 'presence', channel, id: 'q1', payload: {} });
        expect(failures).toEqual([]);
      }
      // Newcomers are told of the members, and resume.
      for (const name of Object.keys(CODECS)) {
        const client = await server.connect(`late-${name}`, { protocols: [`realtime.v1.${name}`] });
        const reader = new Reader(client, CODECS[name] as Codec);
        const { epoch } = (await server.engine.application.history(channel)).position;
        await client.subscribe(channel, { position: { epoch, seq: 0 } });
        await client.call({ type: 'ping', id: 'p1' });
        expect(reader.failures).toEqual([]);
      }
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    },
  );

  it.each([
    ['bytes that are not UTF-8', [0xff, 0xfe, 0x41]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['a cut sequence', [0xe2, 0x82]],
    ['300 bytes that are not UTF-8', Array.from({ length: 300 }, () => 0xff)],
  ])('%s in a MessagePack string never reach a subscriber unchanged (P1, P6c)', async (_, bytes) => {
    const channel = `rooms.${++rooms}`;
    const subscriber = await server.connect('bob', { protocols: ['realtime.v1.msgpack'] });
    const reader = new Reader(subscriber, msgpackCodec);
    await subscriber.subscribe(channel, { presence: false });
    const marker = 'x'.repeat(bytes.length);
    const frames = [
      { type: 'publish', id: 'm1', channel, event: 'said', payload: marker },
      { type: 'publish', id: 'm2', channel, event: 'said', payload: { [marker]: 1 } },
      { type: 'publish', id: marker, channel, event: 'said' },
      { type: 'publish', id: 'm3', channel, event: 'said', key: marker, trace: marker },
    ];
    for (const envelope of frames) {
      const client = await server.connect('eve', { protocols: ['realtime.v1.msgpack'] });
      const own = new Reader(client, msgpackCodec);
      const frame = Buffer.from(encode(envelope));
      for (let at = frame.indexOf(marker); at !== -1; at = frame.indexOf(marker)) frame.set(bytes, at);
      client.send(frame);
      await client.call({ type: 'ping', id: 'p1' }).catch(() => client.expectClose(4805));
      expect(own.failures).toEqual([]);
    }
    await server.engine.application.publish(channel, 'said', 'the last');
    await until('the last event', () => reader.envelopes.some(({ payload }) => payload === 'the last'));
    expect(reader.failures).toEqual([]);
  });

  it('a value without JSON equivalent is bad_request, or arrives as JSON converts it (P15f)', async () => {
    const channel = `rooms.${++rooms}`;
    const client = await server.connect('eve', { protocols: ['realtime.v1.msgpack'] });
    const reader = await server.connect('ada');
    await reader.subscribe(channel, { presence: false });
    for (const [index, payload] of [
      NaN,
      Infinity,
      new Date(0),
      new Uint8Array([1, 2]),
      { n: -0 },
    ].entries()) {
      const answer = await client.call({ type: 'publish', id: `m${index}`, channel, event: 'said', payload });
      if (answer.type === 'error') expect(answer.payload['code']).toBe('bad_request');
      else expect(await reader.next('event')).toMatchObject({ id: `m${index}` });
    }
  });

  it('no hostile payload is logged as an error', () => {
    expect(server.records.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
