import { afterContract } from './after.js';
import { appendContract } from './append.js';
import { boundsContract } from './bounds.js';
import { ContractContext } from './context.js';
import { controlContract } from './control.js';
import { dedupeContract } from './dedupe.js';
import { eraseContract } from './erase.js';
import { fanOutContract } from './fan-out.js';
import { faultContract } from './faults.js';
import type { BrokerHarnessFactory } from './harness.js';
import { interleavingContract } from './interleaving.js';
import { lifeCycleContract } from './life-cycle.js';
import { messagesContract } from './messages.js';
import { membershipContract } from './membership.js';
import { contractSettings, type ContractOptions } from './options.js';
import { readContract } from './read.js';
import { rosterContract } from './roster.js';
import type { ContractRunner } from './runner.js';
import { transitionsContract } from './transitions.js';
import { signalContract } from './signal.js';

/**
 * Registers the tests that every broker must pass, whatever it is made of. What `capabilities` leaves
 * out, and the faults that the harness cannot cause, register no tests.
 *
 * @param runner Functions of the test runner: Jest's, Vitest's, or others of the same shapes.
 * @param name Names the broker in the title of the suite.
 * @param factory Makes a broker with an empty log for each test.
 * @param options Time-outs, and the seed of the randomized tests.
 * @throws RangeError when an option is out of range; it names the option.
 *
 * @example
 * import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'; // or from 'vitest'
 * import { describeBrokerContract } from 'nestjs-realtime/broker/contract';
 * import { myHarness } from './my-harness.js';
 *
 * describeBrokerContract({ describe, it, expect, beforeEach, afterEach }, 'mine', myHarness);
 */
export function describeBrokerContract(
  runner: ContractRunner,
  name: string,
  factory: BrokerHarnessFactory,
  options: ContractOptions = {},
): void {
  const settings = contractSettings(options);
  const { describe, beforeEach, afterEach } = runner;
  describe(`broker contract: ${name}`, () => {
    const context = new ContractContext(runner, factory, settings);
    beforeEach(() => context.open(), settings.timeoutMs);
    afterEach(() => context.dispose(), settings.timeoutMs);

    describe('append', () => appendContract(context));
    if (factory.capabilities.dedupes) {
      describe('dedupe', () => dedupeContract(context));
      describe('after', () => afterContract(context));
    }
    describe('read and positions', () => {
      readContract(context);
      if (factory.erases === true) eraseContract(context);
    });
    if ((factory.bounds ?? []).length > 0) describe('bounds', () => boundsContract(context));
    describe('fan-out', () => fanOutContract(context));
    describe('interleavings', () => interleavingContract(context));
    describe('signals', () => signalContract(context));
    if (factory.capabilities.presence) {
      describe('presence: membership', () => membershipContract(context));
      describe('presence: rosters and versions', () => rosterContract(context));
    }
    describe('control', () => controlContract(context));
    if (factory.messages === true) describe('messages between nodes', () => messagesContract(context));
    if (factory.transitions === true) describe('transitions', () => transitionsContract(context));
    describe('life cycle', () => lifeCycleContract(context));
    // Vitest refuses a group without tests.
    if (factory.faults.length > 0) describe('faults', () => faultContract(context));
  });
}
