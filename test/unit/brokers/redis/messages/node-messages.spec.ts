import { describe, expect, it, jest } from '@jest/globals';
import { RecordingListener } from '../../../../../lib/brokers/contract/recording-listener.js';
import type { RedisCommands } from '../../../../../lib/brokers/redis/connection/commands.js';
import { RedisKeys } from '../../../../../lib/brokers/redis/keys.js';
import { decodeBatch, encodeBatch } from '../../../../../lib/brokers/redis/messages/batch-wire.js';
import { NodeMessages } from '../../../../../lib/brokers/redis/messages/node-messages.js';
import type { RedisSettings } from '../../../../../lib/brokers/redis/settings.js';
import { ManualClock, settle } from '../../../../support/engine/manual-clock.js';

const MIB = 1024 * 1024;

function open(maxMessageQueueBytes = 16 * MIB) {
  const clock = new ManualClock();
  const seen = new RecordingListener();
  const keys = new RedisKeys('rt', 8);
  /** Commands that Redis has not answered, each with the topics of its messages. */
  const sent: { to: string; partition: number; topics: readonly string[]; end: (error?: Error) => void }[] =
    [];
  const commands = {
    command: (partition: number, _name: string, [to, batch]: readonly [string, Buffer]) =>
      new Promise<void>((resolve, reject) => {
        const topics = decodeBatch(batch)?.messages.map(({ topic }) => topic) ?? [];
        sent.push({ to, partition, topics, end: (error) => (error ? reject(error) : resolve()) });
      }),
  } as unknown as RedisCommands;
  const messages = new NodeMessages(commands, keys, {
    clock,
    maxMessageQueueBytes,
  } as unknown as RedisSettings);
  messages.start('left', seen);
  /** The outcomes, in the order in which they came. */
  const outcomes: string[] = [];
  const send = (node: string, topic: string, bytes = new Uint8Array(1)): void =>
    void messages.send(node, topic, bytes).then(
      () => outcomes.push(topic),
      (error: { code?: string; message: string }) =>
        outcomes.push(`${topic}: ${error.code ?? error.message}`),
    );
  return { clock, seen, keys, sent, messages, outcomes, send };
}

describe('messages to other nodes', () => {
  it('keep one publish under way for each node, and what comes during it travels together in the next', async () => {
    const { sent, send, outcomes, keys } = open();
    for (const topic of ['a', 'b', 'c']) send('right', topic);
    send('other', 'x');
    expect(sent.map(({ to, topics }) => [to, topics])).toEqual([
      [keys.messagesTo('right'), ['a']],
      [keys.messagesTo('other'), ['x']],
    ]);
    sent[0]?.end();
    await settle();
    expect(outcomes).toEqual(['a']);
    expect(sent[2]).toMatchObject({ to: keys.messagesTo('right'), topics: ['b', 'c'] });
    send('right', 'd');
    sent[2]?.end();
    await settle();
    expect(sent[3]?.topics).toEqual(['d']);
    sent[3]?.end();
    await settle();
    expect(outcomes).toEqual(['a', 'b', 'c', 'd']);
    // And once more, after the way was idle.
    send('right', 'e');
    expect(sent[4]?.topics).toEqual(['e']);
  });

  it('go on after a publish that failed: only its own messages fail', async () => {
    const { sent, send, outcomes } = open();
    for (const topic of ['a', 'b']) send('right', topic);
    sent[0]?.end(new Error('away'));
    await settle();
    send('right', 'c');
    sent[1]?.end();
    await settle();
    sent[2]?.end();
    await settle();
    expect(outcomes).toEqual(['a: away', 'b', 'c']);
  });

  it('travel together up to a MiB; a larger one alone', async () => {
    const { sent, send } = open();
    send('right', 'first');
    for (const topic of ['half', 'half too', 'third', 'huge', 'last'])
      send('right', topic, new Uint8Array(topic === 'huge' ? 2 * MIB : topic === 'last' ? 1 : MIB / 2 - 100));
    for (let index = 0; index < 5; index += 1) {
      sent[index]?.end();
      await settle();
    }
    expect(sent.map(({ topics }) => topics)).toEqual([
      ['first'],
      ['half', 'half too'],
      ['third'],
      ['huge'],
      ['last'],
    ]);
  });

  it('are refused above the bound, by bytes and by number, with one line in the log; one alone always passes', async () => {
    const { sent, send, outcomes, seen, clock } = open(4_096);
    send('right', 'larger than the bound', new Uint8Array(9_000));
    send('right', 'b', new Uint8Array(4_096));
    send('other', 'c', new Uint8Array(4_096));
    await settle();
    expect(outcomes).toEqual(['b: unavailable', 'c: unavailable']);
    expect(seen.warnings).toHaveLength(1);
    expect(seen.warnings[0]).toContain('maxMessageQueueBytes');
    sent[0]?.end();
    await settle();
    // Small ones may use a reserve, to say that there is no room; empty ones cost something too.
    for (let index = 0; index < 4_000; index += 1) send('right', 'small', new Uint8Array(0));
    await settle();
    const refused = outcomes.filter((text) => text === 'small: unavailable').length;
    expect(refused).toBeGreaterThan(50);
    expect(refused).toBeLessThan(150);
    clock.advance(10_000);
    send('right', 'small');
    await settle();
    expect(seen.warnings).toHaveLength(2);
    expect(seen.warnings[1]).toMatch(/\d+ more of this kind/);
    // When they were taken there is room again.
    for (let index = 1; index < sent.length; index += 1) {
      sent[index]?.end();
      await settle();
    }
    outcomes.length = 0;
    send('right', 'after');
    await settle();
    sent.at(-1)?.end();
    await settle();
    expect(outcomes).toEqual(['after']);
  });

  it('are spread over the partitions by their node', () => {
    const { sent, send, keys } = open();
    for (let number = 0; number < 20; number += 1) send(`node-${number}`, 'a');
    expect(new Set(sent.map(({ partition }) => partition)).size).toBeGreaterThan(4);
    for (const { to, partition } of sent) expect(to.startsWith(`{rt:${partition}}:v1:m:`)).toBe(true);
    expect(sent[3]?.partition).toBe(keys.partitionOfNode('node-3'));
  });

  it('that arrive are handed over one by one, also after a listener threw; the error is seen outside', () => {
    const { seen, messages } = open();
    const later = jest.spyOn(globalThis, 'queueMicrotask').mockImplementation(() => undefined);
    try {
      seen.messageHook = (_from, topic) => {
        if (topic === 'bad') throw new Error('bug');
      };
      const of = (topic: string) => ({ topic, bytes: Buffer.from(topic) });
      messages.receive(encodeBatch({ from: 'right', messages: [of('bad'), of('good')] }));
      messages.receive(encodeBatch({ from: 'right', messages: [of('next')] }));
      expect(seen.messages.map(({ from, topic }) => [from, topic])).toEqual([
        ['right', 'bad'],
        ['right', 'good'],
        ['right', 'next'],
      ]);
      expect(later).toHaveBeenCalledTimes(1);
      expect(later.mock.calls[0]?.[0]).toThrow('bug');
    } finally {
      later.mockRestore();
    }
  });

  it('that cannot be read are dropped and counted, one line in ten seconds', () => {
    const { seen, messages, clock } = open();
    const whole = encodeBatch({ from: 'right', messages: [{ topic: 'a', bytes: Buffer.alloc(3) }] });
    for (const bytes of [Buffer.alloc(0), Buffer.from('2m'), Buffer.from('noise'), whole.subarray(0, -1)])
      messages.receive(bytes);
    expect(seen.messages).toEqual([]);
    expect(seen.warnings).toHaveLength(1);
    clock.advance(10_000);
    messages.receive(Buffer.from('2m'));
    expect(seen.warnings[1]).toContain('(3 more of this kind since the last line)');
    messages.receive(whole);
    expect(seen.messages).toHaveLength(1);
  });

  it('are refused before the start and after the close, which waits for what is under way and hears nothing more', async () => {
    const { sent, send, outcomes, messages, seen } = open();
    send('right', 'a');
    send('right', 'b');
    let closed = false;
    const closing = messages.close().then(() => (closed = true));
    send('right', 'late');
    messages.receive(encodeBatch({ from: 'right', messages: [{ topic: 'late', bytes: Buffer.alloc(1) }] }));
    sent[0]?.end();
    await settle();
    expect(closed).toBe(false);
    sent[1]?.end();
    await closing;
    expect(outcomes).toEqual(['late: unavailable', 'a', 'b']);
    expect(seen.messages).toEqual([]);
    const never = new NodeMessages({} as RedisCommands, new RedisKeys('rt', 1), {} as RedisSettings);
    await expect(never.send('right', 'a', new Uint8Array(1))).rejects.toMatchObject({ code: 'unavailable' });
    await never.close();
  });
});
