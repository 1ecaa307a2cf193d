import { describe, expect, it } from '@jest/globals';
import { RedisKeys } from '../../../../lib/brokers/redis/keys.js';

describe('the names of pub/sub channels', () => {
  it('carry the number of the database, every one of them, and keys carry it never', () => {
    const plain = new RedisKeys('rt', 4);
    const third = new RedisKeys('rt', 4);
    third.separate('@3');
    const topics = (keys: RedisKeys) => [
      keys.topic('rooms.1'),
      keys.of('rooms.1').topic,
      keys.room('rooms.1')[6],
      keys.answersTo('n1'),
      keys.messagesTo('n1'),
    ];
    const kinds = (keys: RedisKeys) => topics(keys).map((topic) => /:v1:([^:]+):/.exec(topic ?? '')?.[1]);
    expect(kinds(plain)).toEqual(['c', 'c', 'c', 'r', 'm']);
    expect(kinds(third)).toEqual(['c@3', 'c@3', 'c@3', 'r@3', 'm@3']);
    // The hash tag is the same: in a Cluster a topic lies on the slot of its keys.
    expect(topics(third).map((topic) => topic?.replace('@3', ''))).toEqual(topics(plain));
    const { topic: _one, ...keys } = plain.of('rooms.1');
    const { topic: _other, ...others } = third.of('rooms.1');
    expect(others).toEqual(keys);
    expect([third.meta, third.nodes, third.answers('a')]).toEqual([
      plain.meta,
      plain.nodes,
      plain.answers('a'),
    ]);
  });
});
