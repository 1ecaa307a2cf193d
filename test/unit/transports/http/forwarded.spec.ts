import { afterEach, describe, expect, it } from '@jest/globals';
import type { TrustProxy } from '../../../../lib/transports/http/client-address.js';
import { RawClient, refusalOf } from '../support/raw-client.js';
import { closeServers, serve } from '../support/test-server.js';

afterEach(closeServers);

async function warned(trustProxy: TrustProxy | undefined) {
  const warnings: string[] = [];
  const served = await serve({
    onWarning: (message) => warnings.push(message),
    ...(trustProxy === undefined ? {} : { trustProxy }),
  });
  return { ...served, warnings };
}

describe('requests that a proxy sent where no proxy is trusted', () => {
  it.each(['X-Forwarded-For', 'Forwarded', 'X-Real-IP'])(
    'the first one with %s is warned of, with the remedy, and no other',
    async (header) => {
      const { port, warnings } = await warned(undefined);
      await RawClient.open(port, '/realtime');
      expect(warnings).toEqual([]);
      for (let time = 1; time <= 2; time++) await RawClient.open(port, '/realtime', { [header]: '1.2.3.4' });
      await RawClient.open(port, '/realtime', { 'X-Forwarded-For': '1.2.3.4', 'X-Real-IP': '1.2.3.4' });
      expect(warnings).toEqual([expect.stringContaining(header)]);
      expect(warnings[0]).toContain('127.0.0.1');
      expect(warnings[0]).toContain('trustProxy');
    },
  );

  it.each<[TrustProxy]>([[false], [0], [1], [['127.0.0.0/8']], [() => false]])(
    'nothing is warned of where trustProxy is %j',
    async (trustProxy) => {
      const { port, warnings } = await warned(trustProxy);
      await RawClient.open(port, '/realtime', { 'X-Forwarded-For': '1.2.3.4' });
      expect(warnings).toEqual([]);
    },
  );

  it('a proxy in a listed network is believed, whatever the spelling of the network', async () => {
    const { host, port } = await warned(['::FFFF:127.0.0.0/104']);
    await RawClient.open(port, '/realtime', { 'X-Forwarded-For': '2001:DB8:0::1' });
    expect(host.admitted.map(({ ip }) => ip)).toEqual(['2001:db8::1']);
    const stranger = await warned(['10.0.0.0/8']);
    await RawClient.open(stranger.port, '/realtime', { 'X-Forwarded-For': '2001:DB8:0::1' });
    expect(stranger.host.admitted.map(({ ip }) => ip)).toEqual(['127.0.0.1']);
  });

  it('a list that names no network is refused with the remedy', async () => {
    await expect(serve({ trustProxy: ['everybody'] })).rejects.toThrow(/^trustProxy: "everybody" is neither/);
  });

  it('a predicate that is async is refused when the transport is made: a promise would count as true', async () => {
    await expect(serve({ trustProxy: (async () => false) as never })).rejects.toThrow(
      /^trustProxy: The function returns a promise\. .* return true or false at once\.$/,
    );
  });

  it.each([
    ['true', () => Promise.resolve(true)],
    ['false', () => Promise.resolve(false)],
    ['an error', () => Promise.reject(new Error('late'))],
  ])(
    'a predicate that returns a promise of %s trusts nobody: the log says so, each time',
    async (_what, trust) => {
      const { host, port, errors } = await serve({ trustProxy: trust as never });
      for (let time = 1; time <= 2; time++) {
        const { statusLine } = await refusalOf(port, '/realtime', { 'X-Forwarded-For': '6.6.6.6' });
        expect(statusLine).toContain('503');
      }
      expect(errors.map((error) => (error as Error).message)).toEqual(
        Array(2).fill(expect.stringMatching(/^trustProxy: The function returns a promise/)),
      );
      expect(host.admitted).toEqual([]);
    },
  );
});
