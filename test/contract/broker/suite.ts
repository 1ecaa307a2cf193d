import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { describeBrokerContract, type BrokerHarnessFactory } from '../../../lib/brokers/contract/index.js';
import { patience } from '../../support/patience.js';
import { PROPERTY_SEED } from '../../support/property.js';

/** The suite that the package ships, on jest, with the seed and the limits of our other tests. */
export function brokerContract(name: string, factory: BrokerHarnessFactory): void {
  const runner = { describe, it, expect, beforeEach, afterEach };
  describeBrokerContract(runner, name, factory, {
    seed: PROPERTY_SEED,
    timeoutMs: patience(20_000),
    patienceMs: patience(5_000),
  });
}
