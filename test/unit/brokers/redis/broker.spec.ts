import { describe, expect, it } from '@jest/globals';
import { redisBroker } from '../../../../lib/brokers/redis/index.js';

const SECRET = 'redis://user:hunter2@10.0.0.1:6379';

describe('redisBroker', () => {
  it.each<[string, unknown, RegExp]>([
    ['an address', SECRET, /not an address\. Write redisBroker\(\{ url: /],
    ['an empty text', '', /not an address/],
    ['a URL', new URL(SECRET), /not an address\. Write redisBroker\(\{ url: /],
    ['null', null, /not null\. Write redisBroker\(/],
    ['a number', 6379, /not 6379\. Write redisBroker\(/],
    ['a client', { duplicate: () => undefined }, /not a client\. Write redisBroker\(\{ client \}\)/],
  ])('given %s instead of options says what to write, and nothing secret', (_what, given, message) => {
    const make = () => redisBroker(given as never);
    expect(make).toThrow(message);
    expect(make).not.toThrow('hunter2');
  });
});
