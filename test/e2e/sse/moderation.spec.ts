import { startWireCluster } from '../../support/wire/cluster.js';
import { describeFeedModeration } from '../../support/wire/feed-moderation.js';

describeFeedModeration(
  'restrictions of plain streams on two nodes with one memory store (G30, P32, P20)',
  (options) => startWireCluster(2, options),
);
