import { describeBrokerContract } from './broker.contract.js';
import { memoryHarness } from './memory.harness.js';

describeBrokerContract('memory', memoryHarness);
