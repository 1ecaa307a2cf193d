import { NatsProcess } from '../../support/nats/process.js';
import { deployNatsLog } from './nats-deployment.js';
import { describeOrderedLog } from './suite.js';

describeOrderedLog(
  'NATS JetStream, one server',
  async () => {
    const server = await NatsProcess.start();
    let names = 0;
    return { deploy: async () => deployNatsLog([server], `t${++names}`), dispose: () => server.dispose() };
  },
  { seesRegrownCuts: true },
);
