import { replicatedHarness } from './replicated.harness.js';
import { brokerContract } from './suite.js';

brokerContract('replicated, over a log that finds its cuts', replicatedHarness('log'));
brokerContract('replicated, over a log whose readers find its cuts', replicatedHarness('readers'));
