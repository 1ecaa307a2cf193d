import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import { endsTooSoon, warnOfKeepAlive } from '../../../../lib/nest/lifecycle/keep-alive.js';
import type { TrustProxy } from '../../../../lib/transports/http/client-address.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../../support/engine/recording-logger.js';

describe('a server that ends idle connections before proxies do', () => {
  let server: Server;
  let clock: ManualClock;
  let logger: RecordingLogger;
  beforeEach(() => {
    server = createServer();
    clock = new ManualClock();
    logger = new RecordingLogger();
  });
  afterEach(() => void server.close());

  const listen = async (trustProxy: TrustProxy | undefined) => {
    warnOfKeepAlive(server, trustProxy, clock, logger);
    expect(clock.pending).toBe(0);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  };
  const warnings = () => logger.at('warn').map(({ message }) => message);

  it('is warned of once it listens, with the remedy', async () => {
    server.keepAliveTimeout = 60_000;
    await listen(1);
    clock.advance(999);
    expect(warnings()).toEqual([]);
    clock.advance(1);
    clock.advance(10_000);
    expect(warnings()).toEqual([
      expect.stringMatching(/after 60000 ms .*502.* app\.getHttpServer\(\)\.keepAliveTimeout = 65_000 /),
    ]);
  });

  it.each<[string, number, TrustProxy | undefined]>([
    ['a time above that of proxies', 60_001, 1],
    ['no time at all', 0, ['10.0.0.0/8']],
    ['no proxy', 5_000, false],
    ['a number of no proxies', 5_000, 0],
    ['nothing said of proxies', 5_000, undefined],
  ])('is not warned of with %s', async (_what, ms, trustProxy) => {
    server.keepAliveTimeout = ms;
    await listen(trustProxy);
    clock.advance(2_000);
    expect(warnings()).toEqual([]);
  });

  it('may be set behind listen(), and may have no such time', async () => {
    await listen(['10.0.0.0/8']);
    server.keepAliveTimeout = 65_000;
    clock.advance(2_000);
    expect(warnings()).toEqual([]);
    expect([-1, 0, 1, 60_000, 60_001].map(endsTooSoon)).toEqual([false, false, true, true, false]);
  });

  it('is none where it speaks HTTP/2 alone', async () => {
    delete (server as Partial<Server>).keepAliveTimeout;
    await listen(() => true);
    clock.advance(2_000);
    expect(warnings()).toEqual([]);
  });
});
