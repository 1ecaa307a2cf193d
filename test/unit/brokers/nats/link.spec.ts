import { beforeEach, describe, expect, it } from '@jest/globals';
import type { NatsDriver } from '../../../../lib/brokers/nats/driver.js';
import { NatsLink } from '../../../../lib/brokers/nats/link.js';
import { natsSettings } from '../../../../lib/brokers/nats/options.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

const ANSWERS_IN_MS = 1_000;

describe('questions to NATS that change nothing', () => {
  let clock: ManualClock;
  let link: NatsLink;
  let asked: ((answer: string | Error) => void)[];

  beforeEach(async () => {
    clock = new ManualClock();
    asked = [];
    const nc = {
      status: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }) }),
      isClosed: () => false,
      close: async () => undefined,
    };
    const driver = { connect: async () => nc, jetstream: () => ({}), jetstreamManager: async () => ({}) };
    link = await NatsLink.open(
      driver as unknown as NatsDriver,
      natsSettings({ servers: 'localhost:4222', requestTimeoutMs: ANSWERS_IN_MS }),
      { clock, entropy: new SeededEntropy(1) },
    );
  });

  const question = (): Promise<string> =>
    new Promise((resolve, reject) =>
      asked.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer))),
    );

  it('are asked again while no answer comes, five times within the time of a request; the first answer counts', async () => {
    const answer = link.inquire(question);
    expect(asked).toHaveLength(1);
    clock.advance(ANSWERS_IN_MS / 5 - 1);
    expect(asked).toHaveLength(1);
    clock.advance(1);
    expect(asked).toHaveLength(2);
    clock.advance(10 * ANSWERS_IN_MS);
    expect(asked).toHaveLength(5);
    asked[3]?.('yes');
    asked[0]?.('no');
    await expect(answer).resolves.toBe('yes');
    expect(clock.pending).toBe(0);
  });

  it('are not asked again once there is an answer, also one that says no', async () => {
    const refused = link.inquire(question);
    asked[0]?.(new Error('no such message'));
    await expect(refused).rejects.toThrow('no such message');
    clock.advance(ANSWERS_IN_MS);
    expect(asked).toHaveLength(1);
  });

  it('fail with the connection, and nothing more is sent', async () => {
    const answer = link.inquire(question);
    const failed = expect(answer).rejects.toThrow('The connection to NATS was lost');
    link.lose('cut');
    await failed;
    clock.advance(ANSWERS_IN_MS);
    await settle();
    expect(asked).toHaveLength(1);
    await expect(link.inquire(question)).rejects.toThrow('There is no connection to NATS');
  });
});
