import { describe, expect, it } from '@jest/globals';
import type { Broker, BrokerCapabilities } from '../../../../lib/brokers/broker.js';
import { describeBrokerContract, type ContractOptions } from '../../../../lib/brokers/contract/index.js';
import { memoryHarnessOf } from '../../../contract/broker/memory.harness.js';
import { patience, stretched } from '../../../support/patience.js';
import {
  RecordingRunner,
  type Registered,
  type TestResult,
} from '../../../support/engine/recording-runner.js';
import { FAULTY_BROKERS } from './faulty-brokers.js';

/** What has not arrived after a few milliseconds in memory never does, and a test that hangs need not do so for long. */
const SHORT: ContractOptions = { patienceMs: 20, timeoutMs: stretched(500) };

async function runContract(
  wrap?: (broker: Broker) => Broker,
  options?: ContractOptions,
  wallClock?: boolean,
  isWanted?: (test: Registered) => boolean,
): Promise<readonly TestResult[]> {
  const runner = new RecordingRunner();
  describeBrokerContract(runner, 'memory', memoryHarnessOf({ runs: 30, wrap, wallClock }), options);
  return runner.run(isWanted);
}

/** Titles of the registered tests; none is run. */
function register(change: Partial<BrokerCapabilities>, options?: ContractOptions) {
  const runner = new RecordingRunner();
  const factory = memoryHarnessOf({ runs: 1 });
  const capabilities = { ...factory.capabilities, ...change };
  describeBrokerContract(runner, 'memory', { ...factory, capabilities, faults: [], bounds: [] }, options);
  return runner;
}

const failed = (results: readonly TestResult[]) => results.filter(({ failures }) => failures.length > 0);
const themesOf = (results: readonly TestResult[]) => new Set(results.map(({ groups }) => groups[1]));

describe('describeBrokerContract', () => {
  it(
    'passes for a correct broker, and has a faulty broker for each of its themes',
    async () => {
      const results = await runContract();
      expect(failed(results)).toEqual([]);
      expect(results).toHaveLength(165);
      expect(results[0]?.groups).toEqual(['broker contract: memory', 'append']);
      expect([...themesOf(results)].sort()).toEqual(Object.keys(FAULTY_BROKERS).sort());
    },
    patience(30_000),
  );

  for (const [theme, brokers] of Object.entries(FAULTY_BROKERS)) {
    describe(`fails under "${theme}" for a broker that`, () => {
      for (const [fault, { fails, wrap, wallClock }] of Object.entries(brokers)) {
        it(
          fault,
          async () => {
            // The others say nothing of the fault, and take most of the time.
            const isMeant = ({ groups, title }: Registered) => groups[1] === theme && title.includes(fails);
            const results = await runContract(wrap, SHORT, wallClock, isMeant);
            expect(failed(results)).not.toEqual([]);
          },
          patience(60_000),
        );
      }
    });
  }

  it(
    'prints the seed of a randomized test that fails',
    async () => {
      const { wrap } = FAULTY_BROKERS['interleavings']?.['reads the tip before it subscribes'] ?? {};
      const results = failed(await runContract(wrap, { ...SHORT, timeoutMs: patience(20_000), seed: 7 }));
      expect(results[0]?.failures[0]?.message).toMatch(
        /^Case \d+ of 30 with seed 7 does not hold: \{"before":/,
      );
    },
    patience(60_000),
  );

  it('registers no test of an undeclared capability or of a fault that the harness cannot cause', () => {
    const themes = ({ tests }: RecordingRunner) => new Set(tests.map(({ groups }) => groups[1]));
    expect([...themes(register({}))]).not.toContain('faults');
    expect([...themes(register({}))]).not.toContain('bounds');
    const less = themes(register({ dedupes: false, presence: false }));
    expect([...less]).toEqual([
      'append',
      'read and positions',
      'fan-out',
      'interleavings',
      'signals',
      'control',
      'messages between nodes',
      'transitions',
      'life cycle',
    ]);
  });

  it('sets the time-out of each test and hook', () => {
    const timeouts = (runner: RecordingRunner) =>
      new Set(runner.tests.flatMap(({ steps }) => steps.map(({ timeoutMs }) => timeoutMs)));
    expect([...timeouts(register({}))]).toEqual([20_000]);
    expect([...timeouts(register({}, { timeoutMs: 90_000 }))]).toEqual([90_000]);
  });

  it.each([
    [{ seed: Number.NaN }, '`seed` must be an integer, not NaN'],
    [{ seed: 0.5 }, '`seed` must be an integer, not 0.5'],
    [{ timeoutMs: 0 }, '`timeoutMs` must be a positive number, not 0'],
    [{ patienceMs: -1 }, '`patienceMs` must be a positive number, not -1'],
  ])('refuses %j, and names the option', (options, message) => {
    expect(() => register({}, options)).toThrow(new RangeError(`describeBrokerContract: ${message}.`));
  });
});
