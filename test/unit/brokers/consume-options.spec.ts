import { describe, expect, it } from '@jest/globals';
import { fromKafka } from '../../../lib/brokers/kafka/index.js';
import { fromJetStream } from '../../../lib/brokers/nats/index.js';
import { fromRedisStreams } from '../../../lib/brokers/redis/index.js';

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
    for (const stream of [undefined, '', 'a.b', 'a b', '*'])
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
    for (const group of [undefined, '', 'a b', 'a{b}'])
      expect(redis({ group })).toMatch(/^fromRedisStreams: `group` must have 1 to 128 characters/);
    expect(redis({ from: 'last' })).toBe('fromRedisStreams: `from` must be "first" or "next".');
    expect(redis({ url: 'http://redis' })).toMatch(/^fromRedisStreams: `url` must be like/);
    expect(redis({ commandTimeoutMs: 0 })).toMatch(/^fromRedisStreams: `commandTimeoutMs` must be/);
    expect(redis({ maxBatch: 0 })).toMatch(/^fromRedisStreams: `maxBatch` must be/);
  });
});
