import { startWireCluster } from '../../support/wire/cluster.js';
import { describeModeration } from '../../support/wire/moderation-matrix.js';

describeModeration('acts of moderation on two nodes with one memory store (G11, G30, P32)', (options) =>
  startWireCluster(2, options),
);
