export type {
  BrokerBound,
  BrokerFaults,
  BrokerHarness,
  BrokerHarnessFactory,
  ContractNode,
  ContractWindows,
} from './harness.js';
export type { ContractOptions } from './options.js';
export { RecordingListener } from './recording-listener.js';
export type { ContractExpect, ContractMatchers, ContractRunner } from './runner.js';
export { describeBrokerContract } from './suite.js';
