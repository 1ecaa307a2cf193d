import { describe, expect, it } from '@jest/globals';
import { AppendCall } from '../../../../../lib/brokers/redis/append/batch.js';
import { AppendLane } from '../../../../../lib/brokers/redis/append/lane.js';
import type { RedisCommands } from '../../../../../lib/brokers/redis/connection/commands.js';
import { RedisKeys } from '../../../../../lib/brokers/redis/keys.js';
import { EpochNames, type RedisSettings } from '../../../../../lib/brokers/redis/settings.js';
import { request } from '../../../../support/engine/append-requests.js';
import { settle } from '../../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../../support/engine/seeded-entropy.js';

function laneOf() {
  const sent: {
    readonly form: string;
    readonly bytes: string;
    readonly answer: (reply: unknown) => void;
    readonly fail: (error: Error) => void;
  }[] = [];
  const commands = {
    eval: (form: string, _script: unknown, _partition: number, _keys: unknown, args: readonly string[]) =>
      new Promise((answer, fail) => sent.push({ form, bytes: args.join(), answer, fail })),
  } as unknown as RedisCommands;
  const settings = {
    maxBatch: 10,
    maxBatchBytes: 1_000,
    headMs: 1_000,
    replicated: undefined,
    epochs: new EpochNames(new SeededEntropy(1)),
  } as unknown as RedisSettings;
  const lane = new AppendLane(0, 3, commands, new RedisKeys('rt', 1), settings, () => undefined);
  const push = async (id: string): Promise<void> => {
    const body = `event-${id}`;
    const call = new AppendCall(1);
    void call.result.then(([outcome]) =>
      outcomes.push([id, outcome?.ok === false ? outcome.code : 'appended']),
    );
    lane.push({
      request: request('a', id),
      body,
      bytes: 10,
      share: undefined,
      call,
      index: 0,
    });
    await settle();
  };
  const outcomes: (readonly [string, string])[] = [];
  const calls = () => sent.map(({ form, bytes }) => [form, /event-\d/.exec(bytes)?.[0]]);
  return { sent, push, outcomes, calls };
}

describe('a lane of appends whose server does not know the script', () => {
  it('sends nothing new before it is known which calls found the script, and then all in order (P16)', async () => {
    const { sent, push, calls } = laneOf();
    await push('1');
    await push('2');
    sent[0]?.fail(new Error('NOSCRIPT No matching script'));
    await settle();
    await push('3');
    expect(sent.map(({ form }) => form)).toEqual(['sha', 'sha']);
    sent[1]?.fail(new Error('NOSCRIPT No matching script'));
    await settle();
    expect(calls().slice(2)).toEqual([
      ['text', 'event-1'],
      ['text', 'event-2'],
      ['sha', 'event-3'],
    ]);
  });

  it('fails what a later call overtook, and what it sends again goes before everything new (P16)', async () => {
    const { sent, push, outcomes, calls } = laneOf();
    for (const id of ['1', '2', '3', '4', '5']) await push(id);
    const unknown = new Error('NOSCRIPT No matching script');
    sent[0]?.fail(unknown);
    await settle();
    // Another node has loaded the script, and then somebody flushed it.
    sent[1]?.answer([['e', 2]]);
    await settle();
    sent[2]?.fail(unknown);
    await settle();
    expect(calls().slice(3)).toEqual([
      ['text', 'event-3'],
      // With the fifth.
      ['sha', 'event-4'],
    ]);
    for (const { answer } of sent.slice(3)) answer([['e', 3]]);
    await settle();
    expect(outcomes).toEqual([
      ['2', 'appended'],
      ['1', 'unavailable'],
      ['3', 'appended'],
      ['4', 'appended'],
      ['5', 'appended'],
    ]);
  });
});
