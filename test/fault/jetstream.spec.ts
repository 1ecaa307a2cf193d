// Three server processes over three servers of NATS, and faults under load; what is tried, and for how long: ordered-suite.ts.
import { natsSite } from '../support/fault/nats-site.js';
import { describeOrderedFaults } from '../support/fault/ordered-suite.js';

describeOrderedFaults('JetStream', natsSite, {
  keeping: ['kill-node', 'kill-leader', 'hold-answers'],
  losing: ['recreate'],
});
