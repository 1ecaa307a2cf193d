import { describeMatrix } from '../../support/wire/authorization-matrix.js';
import { startWireCluster } from '../../support/wire/cluster.js';

describeMatrix(
  'every command and every path to events, members and history, on two nodes with one memory store (G9, G10, G11)',
  (options) => startWireCluster(2, options),
);
