import { startWireCluster } from '../../support/wire/cluster.js';
import { describeEraseRace } from '../../support/wire/erase-race.js';

describeEraseRace(
  'events that are erased while they are read, on two nodes with one memory store',
  (options) => startWireCluster(2, options),
);
