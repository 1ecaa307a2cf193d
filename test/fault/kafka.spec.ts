// Three server processes over one broker of Kafka, and faults under load; what is tried, and for how long: ordered-suite.ts.
import { kafkaSite } from '../support/fault/kafka-site.js';
import { describeOrderedFaults } from '../support/fault/ordered-suite.js';

describeOrderedFaults('Kafka', kafkaSite, {
  keeping: ['kill-node', 'hold-answers', 'restart'],
  losing: ['recreate'],
});
