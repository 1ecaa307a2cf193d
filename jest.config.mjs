// Run through `npm test` (scripts/test.mjs), which sets NODE_OPTIONS=--experimental-vm-modules:
// Nest 12 and this library are ES modules. It also measures how slow the machine is (TEST_SLOWNESS).
import { patience } from './scripts/slowness.mjs';

const swc = {
  jsc: {
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true },
    target: 'es2022',
    keepClassNames: true,
  },
  module: { type: 'es6' },
  sourceMaps: 'inline',
};

const base = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', swc] },
  // Relative imports end in `.js`, as Node wants them; the sources end in `.ts`.
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    // The sample imports the library by its public names. Here they lead to the sources, as "paths" of tsconfig.json does.
    '^nestjs-realtime$': '<rootDir>/lib/index.ts',
    '^nestjs-realtime/admin$': '<rootDir>/lib/admin/index.ts',
    '^nestjs-realtime/auth$': '<rootDir>/lib/nest/auth/index.ts',
    '^nestjs-realtime/broker$': '<rootDir>/lib/brokers/broker.ts',
    '^nestjs-realtime/broker/contract$': '<rootDir>/lib/brokers/contract/index.ts',
    '^nestjs-realtime/client$': '<rootDir>/lib/client/index.ts',
    '^nestjs-realtime/client/http$': '<rootDir>/lib/client/http.ts',
    '^nestjs-realtime/client/msgpack$': '<rootDir>/lib/client/msgpack.ts',
    '^nestjs-realtime/audit$': '<rootDir>/lib/audit/index.ts',
    '^nestjs-realtime/doctor$': '<rootDir>/lib/doctor/index.ts',
    '^nestjs-realtime/health$': '<rootDir>/lib/health/index.ts',
    '^nestjs-realtime/metrics$': '<rootDir>/lib/metrics/index.ts',
    '^nestjs-realtime/hooks$': '<rootDir>/lib/hooks/index.ts',
    '^nestjs-realtime/kafka$': '<rootDir>/lib/brokers/kafka/index.ts',
    '^nestjs-realtime/nats$': '<rootDir>/lib/brokers/nats/index.ts',
    '^nestjs-realtime/platform-ws$': '<rootDir>/lib/nest/adapter/realtime-ws.adapter.ts',
    '^nestjs-realtime/redis$': '<rootDir>/lib/brokers/redis/index.ts',
    '^nestjs-realtime/tracing$': '<rootDir>/lib/tracing/index.ts',
    '^nestjs-realtime/package.json$': '<rootDir>/package.json',
  },
  modulePathIgnorePatterns: ['<rootDir>/test-artifacts/'],
};

const project = (displayName, folder, more = {}) => ({
  ...base,
  displayName,
  testMatch: [`<rootDir>/test/${folder}/**/*.spec.ts`],
  ...more,
});

export default {
  testTimeout: patience(30_000),
  // What the modules of a spec keep is never released: after a hundred specs collections of several gigabytes take seconds.
  workerIdleMemoryLimit: '1.5GB',
  projects: [
    project('unit', 'unit'),
    // Of the repository itself: lint rules, documents, links, what the titles of the tests promise.
    project('repo', 'repo'),
    // What only a real Redis shows: scripts, topologies, outages.
    project('redis', 'redis'),
    project('contract', 'contract'),
    project('e2e', 'e2e'),
    // The e2e specs that reach Nest once more, on the Nest 11 packages of test/nest11.
    project('nest11', 'e2e/{attacks,nest,sample}', {
      moduleNameMapper: {
        ...base.moduleNameMapper,
        '^@nestjs/(.*)$': '<rootDir>/test/nest11/node_modules/@nestjs/$1',
        // One copy each, whoever imports it.
        '^rxjs$': '<rootDir>/node_modules/rxjs',
        '^rxjs/(.*)$': '<rootDir>/node_modules/rxjs/$1',
        '^reflect-metadata$': '<rootDir>/node_modules/reflect-metadata',
      },
    }),
    // The Redis broker on the older driver that an application may have.
    project('ioredis5', 'contract', {
      testMatch: [
        '<rootDir>/test/contract/broker/redis*.spec.ts',
        '<rootDir>/test/redis/{access,boot,bounds,messages,scripts,topology}.spec.ts',
      ],
      moduleNameMapper: {
        ...base.moduleNameMapper,
        '^ioredis$': '<rootDir>/test/nest11/node_modules/ioredis',
      },
    }),
    project('browser', 'browser'),
    // The configuration files of docs/deployment, in nginx, HAProxy and Caddy.
    project('proxies', 'proxies'),
    // Server processes, clients and a real Redis under faults: a test takes seconds by design.
    project('fault', 'fault'),
    // Counts of writes, allocations, promises and timers, in processes of their own.
    project('perf', 'perf'),
    // Applications, pages and scripts made in a temporary folder, which install the packed library. `files/` is theirs.
    project('consumers', 'consumers', { testMatch: ['<rootDir>/test/consumers/*.spec.ts'] }),
  ],
};
