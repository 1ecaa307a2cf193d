import { NatsCluster } from '../../support/nats/process.js';
import { deployNatsLog } from './nats-deployment.js';
import { describeOrderedLog } from './suite.js';

describeOrderedLog(
  'NATS JetStream, three servers',
  async () => {
    const cluster = await NatsCluster.start();
    let names = 0;
    return {
      deploy: async () => deployNatsLog(cluster.servers, `t${++names}`),
      dispose: () => cluster.dispose(),
    };
  },
  { seesRegrownCuts: true },
);
