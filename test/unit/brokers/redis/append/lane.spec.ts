import { describe, expect, it } from '@jest/globals';
import { AppendCall } from '../../../../../lib/brokers/redis/append/batch.js';
import { AppendLane } from '../../../../../lib/brokers/redis/append/lane.js';
import type { RedisCommands } from '../../../../../lib/brokers/redis/connection/commands.js';
import { RedisKeys } from '../../../../../lib/brokers/redis/keys.js';
import { EpochNames, type RedisSettings } from '../../../../../lib/brokers/redis/settings.js';
import { request } from '../../../../support/engine/append-requests.js';
import { settle } from '../../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../../support/engine/seeded-entropy.js';

describe('a lane of appends whose server does not know the script', () => {
  it('sends nothing new before it is known which calls found the script, and then all in order (P16)', async () => {
    const sent: { readonly form: string; readonly bytes: string; readonly fail: (error: Error) => void }[] =
      [];
    const commands = {
      eval: (form: string, _script: unknown, _partition: number, _keys: unknown, args: readonly string[]) =>
        new Promise((_, fail) => sent.push({ form, bytes: args.join(), fail })),
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
      lane.push({
        request: request('a', id),
        body,
        bytes: 10,
        share: undefined,
        call: new AppendCall(1),
        index: 0,
      });
      await settle();
    };
    await push('1');
    await push('2');
    sent[0]?.fail(new Error('NOSCRIPT No matching script'));
    await settle();
    await push('3');
    expect(sent.map(({ form }) => form)).toEqual(['sha', 'sha']);
    sent[1]?.fail(new Error('NOSCRIPT No matching script'));
    await settle();
    expect(sent.map(({ form, bytes }) => [form, /event-\d/.exec(bytes)?.[0]]).slice(2)).toEqual([
      ['text', 'event-1'],
      ['text', 'event-2'],
      ['sha', 'event-3'],
    ]);
  });
});
