// Messages from node to node, where only a real Redis shows what happens: outages, noise on the topic, nodes that die.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Broker } from '../../lib/brokers/broker.js';
import { elapse, stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import { RedisKit } from './kit.js';

describe('messages between nodes over Redis', () => {
  let kit: RedisKit;

  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(() => kit.reset());
  afterAll(() => kit.dispose());

  const bytes = (text: string) => Buffer.from(text);
  const twoNodes = async (options: Parameters<RedisKit['node']>[0] = {}) => {
    const [left, right] = [await kit.node(options), await kit.node(options)];
    const nodes = (await left.broker.bus.nodes?.()) ?? [];
    // The kit gives random names: the one of each is learned from what it sends to all.
    for (const node of nodes) await left.broker.bus.send?.(node, 'who', bytes('?'));
    await until('the question', () => left.seen.messages.length + right.seen.messages.length === 2);
    const leftId = left.seen.messages[0]?.from ?? '';
    const rightId = nodes.find((node) => node !== leftId) ?? '';
    for (const { seen } of [left, right]) seen.messages.length = 0;
    return { left, right, leftId, rightId };
  };
  /** Sends until one is taken, as a connection that comes back takes a moment. */
  const sendAgain = async ({ bus }: Broker, node: string): Promise<void> => {
    for (;;) {
      const failed = await bus.send?.(node, 'back', bytes('x')).then(
        () => false,
        () => true,
      );
      if (failed === false) return;
      await elapse(10);
    }
  };

  it('drops what another program publishes on the topic of a node, warns once, and hears the next message', async () => {
    const { left, right, rightId } = await twoNodes();
    const topic = kit.keys.messagesTo(rightId);
    for (const noise of ['', 'x', '2m', '1m', '1e p 1 2\n[]', '1m\u0000\u0000\u0000\u0001', 'ÿ'.repeat(50)])
      expect(await kit.admin.spublish(topic, noise)).toBe(1);
    await left.broker.bus.send?.(rightId, 'a', bytes('ok'));
    await until('the message', () => right.seen.messages.length === 1);
    expect(right.seen.warnings.filter((text) => text.includes('cannot read it'))).toHaveLength(1);
  });

  it('fails in time while Redis is away, and carries messages again when it is back, without a restart', async () => {
    const { left, right, leftId, rightId } = await twoNodes({ commandTimeoutMs: stretched(300) });
    kit.server.pause();
    const codeOf = async (topic: string): Promise<string> => {
      try {
        await left.broker.bus.send?.(rightId, topic, bytes('x'));
        return 'sent';
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const outcomes = await Promise.all(['a', 'b', 'c'].map(codeOf));
    for (const code of outcomes) expect(['timeout', 'unavailable']).toContain(code);
    await expect(left.broker.bus.nodes?.()).rejects.toMatchObject({ name: 'RealtimeError' });
    kit.server.resume();
    await until('the way back', () => [left, right].every(({ seen }) => seen.states.at(-1) === 'up'));
    await until('a message', async () => {
      await sendAgain(left.broker, rightId);
      return right.seen.messagesOf('back').length > 0;
    });
    await until('the nodes', async () => {
      const live = await left.broker.bus.nodes?.();
      return live?.includes(leftId) === true && live.includes(rightId);
    });
  });

  it('come on a connection of their own: where Redis cuts it, events still come, and messages come again', async () => {
    const { left, right, rightId } = await twoNodes();
    const names = String(await kit.admin.client('LIST')).match(/name=nestjs-realtime-\w+/g) ?? [];
    const counted = (name: string): number => names.filter((text) => text.endsWith(`-${name}`)).length;
    expect([counted('subscriber'), counted('messages'), names.length]).toEqual([2, 2, 6]);
    const states = right.seen.states.length;
    const subscribers = String(await kit.admin.client('LIST')).split('\n');
    for (const line of subscribers) {
      const id = /^id=(\d+) .*name=nestjs-realtime-messages/.exec(line)?.[1];
      if (id !== undefined) await kit.admin.call('CLIENT', 'KILL', 'ID', id);
    }
    await until('a message', async () => {
      await sendAgain(left.broker, rightId);
      return right.seen.messagesOf('back').length > 0;
    });
    expect(right.seen.states).toHaveLength(states);
    await until('the warning', () => right.seen.warnings.some((text) => text.includes('was lost and is back')));
  });

  it('names a node that died without a word until its last heartbeat has run out (P21)', async () => {
    const nodeTtlMs = stretched(400);
    const { left, leftId } = await twoNodes({ nodeTtlMs, heartbeatMs: 20 });
    const [seconds, micros] = await kit.admin.time();
    const now = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
    await kit.admin.zadd(kit.keys.nodes, now + nodeTtlMs, 'dead');
    expect(await left.broker.bus.nodes?.()).toContain('dead');
    await until('its end', async () => (await left.broker.bus.nodes?.())?.includes('dead') === false);
    expect(await left.broker.bus.nodes?.()).toContain(leftId);
  });

  it('names itself also when Redis has lost everything', async () => {
    const { left, leftId } = await twoNodes({ heartbeatMs: 600_000, controlMaxAgeMs: 900_000 });
    await kit.admin.del(kit.keys.nodes);
    expect(await left.broker.bus.nodes?.()).toEqual([leftId]);
  });

  it('refuses a bound that cannot be, and names it', () => {
    expect(() => kit.make({ maxMessageQueueBytes: 0 })).toThrow(
      '`maxMessageQueueBytes` must be a positive number',
    );
  });
});
