import { afterEach, beforeEach, describe } from '@jest/globals';
import { afterContract } from './after.contract.js';
import { appendContract } from './append.contract.js';
import type { BrokerHarnessFactory } from './broker.harness.js';
import { ContractContext } from './contract.context.js';
import { controlContract } from './control.contract.js';
import { dedupeContract } from './dedupe.contract.js';
import { fanOutContract } from './fan-out.contract.js';
import { faultContract } from './fault.contract.js';
import { interleavingContract } from './interleaving.contract.js';
import { lifeCycleContract } from './life-cycle.contract.js';
import { membershipContract } from './membership.contract.js';
import { readContract } from './read.contract.js';
import { rosterContract } from './roster.contract.js';
import { signalContract } from './signal.contract.js';

/**
 * What every broker must do, whatever it is made of. A broker passes it unchanged; what it declares not to do, and the
 * faults that its harness cannot cause, register no tests.
 *
 * @example describeBrokerContract('memory', memoryHarness);
 */
export function describeBrokerContract(name: string, factory: BrokerHarnessFactory): void {
  describe(`broker contract: ${name}`, () => {
    const context = new ContractContext(factory);
    beforeEach(() => context.open());
    afterEach(() => context.dispose());

    describe('append', () => appendContract(context));
    if (factory.capabilities.dedupes) {
      describe('dedupe', () => dedupeContract(context));
      describe('after', () => afterContract(context));
    }
    describe('read and positions', () => readContract(context));
    describe('fan-out', () => fanOutContract(context));
    describe('interleavings', () => interleavingContract(context));
    describe('signals', () => signalContract(context));
    if (factory.capabilities.presence) {
      describe('presence: membership', () => membershipContract(context));
      describe('presence: rosters and versions', () => rosterContract(context));
    }
    describe('control', () => controlContract(context));
    describe('life cycle', () => lifeCycleContract(context));
    describe('faults', () => faultContract(context));
  });
}
