import { describe, expect, it } from '@jest/globals';
import { kafkaSettings, type KafkaLogOptions } from '../../../../lib/brokers/kafka/options.js';
import { appendError, messageOf } from '../../../../lib/brokers/kafka/codes.js';

describe('the options of a log in Kafka', () => {
  it('have the defaults that are documented', () => {
    expect(kafkaSettings({ brokers: 'kafka:9092' })).toEqual({
      brokers: [{ host: 'kafka', port: 9092 }],
      topic: 'realtime',
      partitions: 8,
      replicas: 3,
      minInsyncReplicas: 2,
      retentionMs: 86_400_000,
      maxRecordBytes: 524_288,
      createTopics: true,
      clientId: 'nestjs-realtime',
      connectTimeoutMs: 5_000,
      requestTimeoutMs: 5_000,
      tls: undefined,
      sasl: undefined,
    });
  });

  it.each([
    [1, 1],
    [2, 1],
    [3, 2],
    [5, 2],
  ])('acknowledge with %s replicas when %s have an event', (replicas, min) => {
    expect(kafkaSettings({ brokers: 'k', replicas }).minInsyncReplicas).toBe(min);
  });

  it('read addresses with and without a port, also of IPv6', () => {
    const { brokers } = kafkaSettings({ brokers: ['a', 'b.c:1', '127.0.0.1:65535', '[::1]:9093'] });
    expect(brokers).toEqual([
      { host: 'a', port: 9092 },
      { host: 'b.c', port: 1 },
      { host: '127.0.0.1', port: 65_535 },
      { host: '::1', port: 9093 },
    ]);
  });

  it.each<[string, Partial<KafkaLogOptions>]>([
    ['brokers', { brokers: [] }],
    ['brokers', { brokers: 'kafka://a:1' }],
    ['brokers', { brokers: 'a:0' }],
    ['brokers', { brokers: 'a:65536' }],
    ['topic', { topic: '' }],
    ['topic', { topic: 'a b' }],
    ['topic', { topic: 'x'.repeat(238) }],
    ['partitions', { partitions: 0 }],
    ['partitions', { partitions: 257 }],
    ['partitions', { partitions: 1.5 }],
    ['replicas', { replicas: 0 }],
    ['minInsyncReplicas', { replicas: 2, minInsyncReplicas: 3 }],
    ['minInsyncReplicas', { minInsyncReplicas: 0 }],
    ['retentionMs', { retentionMs: -1 }],
    ['maxRecordBytes', { maxRecordBytes: 16_383 }],
    ['requestTimeoutMs', { requestTimeoutMs: Number.NaN }],
    ['connectTimeoutMs', { connectTimeoutMs: Infinity }],
    ['sasl', { sasl: { mechanism: 'PLAIN', username: 'a' } }],
    ['sasl.token', { sasl: { mechanism: 'OAUTHBEARER', username: 'a', password: 'b' } }],
  ])('are refused by name: %s %#', (path, options) => {
    expect(() => kafkaSettings({ brokers: 'kafka:9092', ...options })).toThrow(`kafkaBroker: \`${path}\` `);
  });

  it('may be at their bounds', () => {
    const options = { brokers: 'k', partitions: 256, maxRecordBytes: 16_384, topic: 'x'.repeat(237) };
    expect(() => kafkaSettings(options)).not.toThrow();
  });
});

describe('answers of Kafka to an append', () => {
  it.each([
    [10, 'refused', false],
    [19, 'refused', true],
    [29, 'refused', false],
    [87, 'refused', false],
    // The leader may have written it before it said so.
    [6, 'unknown', true],
    [7, 'unknown', true],
    [20, 'unknown', true],
    [3, 'unknown', true],
    [-1, 'unknown', true],
    [9_999, 'unknown', true],
  ])('%s: %s, retryable %s', (code, outcome, retryable) => {
    expect(appendError(code)).toMatchObject({ outcome, retryable });
  });

  it('have their causes in one message, a line of each, and no more than four', () => {
    const cause = new Error('third\nsecret line', {
      cause: new Error('fourth', { cause: new Error('fifth') }),
    });
    const error = new Error('first', { cause: new Error('second', { cause }) });
    expect(messageOf(error)).toBe('first: second: third: fourth');
    expect(messageOf('text')).toBe('');
  });
});
