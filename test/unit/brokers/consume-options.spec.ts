import { describe, expect, it, jest } from '@jest/globals';
import { fromKafka } from '../../../lib/brokers/kafka/index.js';
import { fromJetStream } from '../../../lib/brokers/nats/index.js';
import { fromRedisStreams, redisBroker } from '../../../lib/brokers/redis/index.js';
import type { RedisBrokerOptions } from '../../../lib/brokers/redis/options.js';
import type { ConsumedPlace, RealtimeConsumer } from '../../../lib/core/ports/consumers.js';

const to = (): null => null;
const KAFKA = { brokers: 'kafka', topic: 'orders', groupId: 'realtime', to };
const NATS = { servers: 'nats', stream: 'ORDERS', durable: 'realtime', to };
const REDIS = { url: 'redis://redis', streams: 'orders', group: 'realtime', to };

function refused(make: () => unknown): string {
  try {
    make();
    return '';
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return (error as Error).message;
  }
}
const kafka = (options: object): string => refused(() => fromKafka({ ...KAFKA, ...options }));
const nats = (options: object): string => refused(() => fromJetStream({ ...NATS, ...options }));
const redis = (options: object): string => refused(() => fromRedisStreams({ ...REDIS, ...options }));

describe('options of consumers', () => {
  it('name the consumer by its source and group, and take a name', () => {
    expect(fromKafka(KAFKA).name).toBe('kafka orders realtime');
    expect(fromJetStream(NATS).name).toBe('jetstream ORDERS realtime');
    expect(fromRedisStreams({ ...REDIS, streams: ['a', 'b'] }).name).toBe('redis a b realtime');
    expect(fromKafka({ ...KAFKA, name: 'orders' }).name).toBe('orders');
  });

  it('of Kafka that cannot be are refused by the name of its function', () => {
    expect(kafka({ topic: undefined })).toBe('fromKafka: `topic` is missing. Name the topic that is read.');
    expect(kafka({ topic: 'a b' })).toMatch(/^fromKafka: `topic` must have/);
    expect(kafka({ groupId: '' })).toBe('fromKafka: `groupId` must have 1 to 255 characters that print.');
    expect(kafka({ from: 'last' })).toBe('fromKafka: `from` must be "first" or "next".');
    expect(kafka({ brokers: [] })).toBe('fromKafka: `brokers` names no broker.');
    expect(kafka({ requestTimeoutMs: 0 })).toBe(
      'fromKafka: `requestTimeoutMs` must be a whole number above 0.',
    );
    expect(kafka({ to: undefined })).toMatch(/^fromKafka: `to` is no function\./);
  });

  it('of JetStream that cannot be are refused by the name of its function', () => {
    for (const stream of ['', 'a.b', 'a b', '*'])
      expect(nats({ stream })).toBe('fromJetStream: `stream` is no name of a stream.');
    expect(nats({ durable: 'a.b' })).toBe(
      'fromJetStream: `durable` must have 1 to 64 letters, digits, "_" and "-".',
    );
    expect(nats({ positions: '' })).toMatch(/^fromJetStream: `positions` must have/);
    expect(nats({ from: 'last' })).toBe('fromJetStream: `from` must be "first" or "next".');
    expect(nats({ servers: [] })).toBe('fromJetStream: `servers` names no server.');
    expect(nats({ deadLetter: 'topic' })).toMatch(/^fromJetStream: `deadLetter` must be/);
  });

  it('of Redis Streams that cannot be are refused by the name of its function', () => {
    for (const streams of [[], '', ['a', '']])
      expect(redis({ streams })).toBe('fromRedisStreams: `streams` must name at least one stream.');
    expect(redis({ streams: ['a', 'a'] })).toBe('fromRedisStreams: `streams` names a stream twice.');
    for (const group of ['', 'a b', 'a{b}'])
      expect(redis({ group })).toMatch(/^fromRedisStreams: `group` must have 1 to 128 characters/);
    expect(redis({ from: 'last' })).toBe('fromRedisStreams: `from` must be "first" or "next".');
    expect(redis({ url: 'http://redis' })).toMatch(/^fromRedisStreams: `url` must be like/);
    expect(redis({ commandTimeoutMs: 0 })).toMatch(/^fromRedisStreams: `commandTimeoutMs` must be/);
    expect(redis({ maxBatch: 0 })).toMatch(/^fromRedisStreams: `maxBatch` must be/);
  });

  it('of where Redis is are refused by the name of the function that was called, wherever they are read', () => {
    const sentinel = { name: 'main', sentinels: [] };
    const wrong: [option: string, options: RedisBrokerOptions][] = [
      ['connectTimeoutMs', { connectTimeoutMs: -1 }],
      ['maxReconnectMs', { maxReconnectMs: 0 }],
      ['url', { url: 'redis' }],
      ['url', { cluster: { nodes: ['http://redis'] } }],
      ['url', { sentinel: { ...sentinel, sentinels: ['http://redis'] as never } }],
      ['url`, `cluster', { url: 'redis://redis', cluster: { nodes: [] } }],
      ['cluster.nodes', { cluster: { nodes: [] } }],
      ['sentinel.sentinels', { sentinel }],
      ['db', { cluster: { nodes: ['redis'] }, db: 1 }],
    ];
    for (const [option, options] of wrong) {
      expect(redis({ url: undefined, ...options })).toContain(`fromRedisStreams: \`${option}\` `);
      expect(refused(() => redisBroker(options))).toContain(`redisBroker: \`${option}\` `);
    }
    for (const [option, options] of [
      ['partitions', { partitions: 0.5 }],
      ['durability', { durability: 'none' as 'broker' }],
      ['controlMaxAgeMs', { controlMaxAgeMs: 1 }],
      ['controlReplicas', { controlReplicas: -1 }],
      ['keyPrefix', { keyPrefix: '{a}' }],
      ['application', { application: '' }],
    ] as const)
      expect(refused(() => redisBroker(options))).toContain(`redisBroker: \`${option}\` `);
  });

  it('that are missing are refused with what to give, also where there are none at all', () => {
    expect(kafka({ brokers: undefined })).toBe(
      'fromKafka: `brokers` is missing. Give the addresses `host:port` of one or more brokers.',
    );
    expect(kafka({ groupId: null })).toBe(
      'fromKafka: `groupId` is missing. Name a consumer group of this application alone.',
    );
    expect(nats({ servers: undefined })).toMatch(/^fromJetStream: `servers` is missing\. Give the addresses/);
    expect(nats({ stream: undefined })).toBe(
      'fromJetStream: `stream` is missing. Name the stream that is read.',
    );
    expect(nats({ durable: undefined })).toMatch(/^fromJetStream: `durable` is missing\. Name the position/);
    expect(redis({ streams: undefined })).toBe(
      'fromRedisStreams: `streams` is missing. Name one or more streams.',
    );
    expect(redis({ group: undefined })).toMatch(/^fromRedisStreams: `group` is missing\. Name a group/);
    for (const missing of [undefined, null])
      for (const refusedBy of [kafka, nats, redis])
        expect(refusedBy({ to: missing })).toMatch(/: `to` is no function\. Give one that makes/);

    const none = undefined as never;
    expect(() => fromKafka(none)).toThrow(
      new TypeError('fromKafka: its options are missing. Give { brokers, topic, groupId, to }.'),
    );
    expect(() => fromJetStream(none)).toThrow('Give { servers, stream, durable, to }.');
    expect(() => fromRedisStreams(none)).toThrow('Give { streams, group, to }.');
    expect(refused(() => fromKafka({} as never))).toMatch(/^fromKafka: `brokers` is missing/);
  });

  it('of another type are refused, and never fail in what reads them', () => {
    expect(kafka({ brokers: 9092 })).toBe('fromKafka: `brokers` must be text, or a list of texts.');
    expect(kafka({ brokers: ['a:1', 9092] })).toBe('fromKafka: `brokers` must be text, or a list of texts.');
    expect(kafka({ topic: ['orders'] })).toBe('fromKafka: `topic` must be text.');
    expect(nats({ servers: {} })).toBe('fromJetStream: `servers` must be text, or a list of texts.');
    expect(nats({ subjects: 7 })).toBe('fromJetStream: `subjects` must be text, or a list of texts.');
    expect(nats({ subjects: null })).toBe('fromJetStream: `subjects` must be text, or a list of texts.');
    expect(nats({ positions: 7 })).toBe('fromJetStream: `positions` must be text.');
    expect(redis({ streams: 7 })).toBe('fromRedisStreams: `streams` must be text, or a list of texts.');
  });

  it('that no source has are refused, with the one that was meant', () => {
    expect(kafka({ deadletter: 'skip' })).toBe(
      'fromKafka: `deadletter` is not an option. Did you mean "deadLetter"?',
    );
    expect(kafka({ group: 'realtime' })).toMatch(
      /^fromKafka: `group` is not an option\. Known here: brokers, topic, groupId,/,
    );
    expect(redis({ groupId: 'realtime' })).toMatch(/Did you mean "group"\?$/);
    expect(nats({ subject: 'orders.>' })).toBe(
      'fromJetStream: `subject` is not an option. Did you mean "subjects"?',
    );
    expect(redis({ stream: 'orders', streams: undefined })).toBe(
      'fromRedisStreams: `stream` is not an option. Did you mean "streams"?',
    );
    expect(redis({ keyspace: 'a' })).toMatch(
      /^fromRedisStreams: `keyspace` is not an option\. Known here: streams, group, from, url,.* name\.$/,
    );
    // Of `redisBroker()` alone.
    expect(redis({ prefix: 'a' })).toMatch(/`prefix` is not an option/);
  });

  it('may all be given', () => {
    const common = {
      deadLetter: 'skip',
      maxBatch: 1,
      maxBatchBytes: 1_024,
      takeOverMs: 6_000,
      name: 'a',
    } as const;
    const times = { connectTimeoutMs: 1, requestTimeoutMs: 1 };
    const kafkas = { ...KAFKA, ...common, ...times, clientId: 'a', tls: {}, from: 'next' } as const;
    expect(fromKafka({ ...kafkas, sasl: undefined }).name).toBe('a');
    const access = { user: 'a', password: 'b', token: undefined, credentials: undefined, tls: undefined };
    const places = { subjects: ['a.>'], from: 'next', positions: 'p', domain: 'd' } as const;
    expect(fromJetStream({ ...NATS, ...common, ...times, ...access, ...places }).name).toBe('a');
    const ways = { client: undefined, cluster: undefined, sentinel: undefined, tls: undefined };
    const rest = {
      username: 'a',
      password: 'b',
      db: 1,
      connectTimeoutMs: 1,
      commandTimeoutMs: 1,
      maxReconnectMs: 1,
    };
    expect(fromRedisStreams({ ...REDIS, ...common, ...ways, ...rest, from: 'next' }).name).toBe('a');
  });

  it('tell what is read and for which group, so that two of an application are not of the same', () => {
    const places = (consumer: RealtimeConsumer): readonly ConsumedPlace[] => consumer.reads ?? [];
    expect(places(fromKafka({ ...KAFKA, brokers: ['a', 'b:1'] }))).toEqual([
      { server: 'kafka a:9092', what: 'the topic orders with the group realtime' },
      { server: 'kafka b:1', what: 'the topic orders with the group realtime' },
    ]);
    const [jetStream] = places(fromJetStream({ ...NATS, name: 'a', positions: 'p' }));
    expect(jetStream).toEqual(places(fromJetStream(NATS))[0]);
    expect(jetStream?.what).toBe('the stream ORDERS with the durable realtime');
    const account = { user: 'a', password: 'b' };
    expect(places(fromJetStream({ ...NATS, ...account }))[0]?.server).not.toBe(jetStream?.server);

    const ofRedis = (options: object): readonly unknown[] =>
      places(fromRedisStreams({ ...REDIS, ...options })).map(({ server }) => server);
    const [usual] = ofRedis({});
    for (const url of ['redis://u:p@redis:6379', 'redis://redis/0', 'redis://redis/'])
      expect(ofRedis({ url })).toEqual([usual]);
    expect(ofRedis({ db: 0, streams: ['a', 'b'] })).toEqual([usual, usual]);
    expect(places(fromRedisStreams(REDIS))[0]?.what).toBe('the stream orders with the group realtime');
    const others = [
      { db: 1 },
      { url: 'redis://redis/1' },
      { url: 'redis://redis?db=1' },
      { url: 'redis://r' },
    ];
    for (const other of others) expect(ofRedis(other)[0]).not.toBe(usual);
  });

  it('of Redis Streams with an undefined url, as of an unset variable, warn by the name of the function', () => {
    const emit = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    fromRedisStreams({ ...REDIS, url: undefined });
    expect(emit.mock.calls.map(([message]) => message)).toEqual([
      'fromRedisStreams: `url` is undefined, so 127.0.0.1:6379 is used. Is its environment variable set?',
    ]);
    emit.mockRestore();
  });
});
