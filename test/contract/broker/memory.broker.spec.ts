import { brokerContract } from './suite.js';
import { memoryHarness } from './memory.harness.js';

brokerContract('memory', memoryHarness);
