import type { OrderedLog } from '../../../lib/brokers/replicated/ordered-log.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { MemoryLogServer } from '../../support/ordered-log/memory-server.js';
import type { LogDeployment } from './deployment.js';
import { describeOrderedLog } from './suite.js';

for (const detectsCuts of ['log', 'readers'] as const) {
  const clock = new ManualClock();
  describeOrderedLog(
    `memory, where ${detectsCuts === 'log' ? 'the log knows of' : 'the readers look for'} cuts`,
    async () => ({
      deploy: async () => deploy(new MemoryLogServer({ clock, seed: 3, detectsCuts })),
      dispose: async () => undefined,
    }),
    {
      seesRegrownCuts: detectsCuts === 'log',
      advance: () => clock.advanceAsync(100),
    },
  );
}

function deploy(server: MemoryLogServer): LogDeployment {
  const opened: OrderedLog[] = [];
  const reconnect = async (): Promise<void> => {
    server.disconnectAll('the server was restarted');
    server.reconnectAll();
  };
  return {
    open: async () => {
      const log = server.open();
      opened.push(log);
      return log;
    },
    restart: reconnect,
    pause: async () => server.pause(),
    resume: () => server.resume(),
    mark: async () => {
      const ends = Array.from(
        { length: server.options.partitions },
        (_, index) => server.partition(index)?.end ?? 0,
      );
      return async (meanwhile) => {
        server.disconnectAll('the server lost its end');
        ends.forEach((end, index) => server.cut(index, end));
        if (meanwhile !== undefined) await meanwhile(server.open());
        server.reconnectAll();
      };
    },
    trim: async (partition, first) => server.trim(partition, first),
    recreate: async () => server.recreate(),
    dispose: async () => {
      for (const log of opened) await log.close();
    },
  };
}
