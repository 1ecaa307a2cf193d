import { describe, expect, it } from '@jest/globals';
import { ContractContext } from '../../../../lib/brokers/contract/context.js';
import type { BrokerFaults, BrokerHarness } from '../../../../lib/brokers/contract/index.js';
import { contractSettings } from '../../../../lib/brokers/contract/options.js';
import { memoryHarnessOf } from '../../../contract/broker/memory.harness.js';
import { RecordingRunner } from '../../../support/engine/recording-runner.js';

/** Faults whose methods need `this`. */
class Faults implements Partial<BrokerFaults> {
  private readonly lost: string[] = [];

  get log(): readonly string[] {
    return this.lost;
  }

  async loseEnd(channel: string, keep: number): Promise<void> {
    this.lost.push(`${channel} ${keep}`);
  }
}

async function contextWith(faults: Partial<BrokerFaults>): Promise<ContractContext> {
  const factory = memoryHarnessOf({ runs: 1 });
  const create = async (): Promise<BrokerHarness> => ({ ...(await factory.create()), faults });
  const context = new ContractContext(new RecordingRunner(), { ...factory, create }, contractSettings({}));
  await context.open();
  return context;
}

describe('ContractContext.fault', () => {
  it('keeps the `this` of faults that are written as a class', async () => {
    const faults = new Faults();
    const context = await contextWith(faults);
    const loseEnd = context.fault('loseEnd');
    await loseEnd('room', 2);
    expect(faults.log).toEqual(['room 2']);
    await context.dispose();
  });

  it('refuses a fault that the factory declares and the harness lacks, by name', async () => {
    const context = await contextWith({});
    expect(() => context.fault('restart')).toThrow(
      'The factory declares the fault restart, its harness lacks it',
    );
    await context.dispose();
  });
});
