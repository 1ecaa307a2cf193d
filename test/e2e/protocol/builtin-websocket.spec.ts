import { afterEach, describe, expect, it } from '@jest/globals';
import { ClientProcess } from '../../support/client-process.js';
import { until } from '../../support/until.js';
import { startWireServer } from '../../support/wire/server.js';

let child: ClientProcess | undefined;
let cleanUp: (() => Promise<void>) | undefined;

afterEach(async () => {
  await child?.stop();
  await cleanUp?.();
});

describe('the WebSocket class that is built into Node', () => {
  it('connects, and comes back to a server that was restarted', async () => {
    const server = await startWireServer();
    cleanUp = () => server.close();
    child = await ClientProcess.start(server.url, 1, true);
    const { states } = child;
    await until('the client to be live', () => states.at(-1)?.status.state === 'live');
    await server.close();
    await until('the client to notice', () => states.at(-1)?.status.state === 'waiting');
    expect(states.at(-1)?.status.reason).toEqual(expect.any(String));
  });

  it('fires only `error` for what it cannot reach: the attempt ends at once, with the cause', async () => {
    const server = await startWireServer();
    const { url, httpUrl } = server;
    await server.close();
    child = await ClientProcess.start(url, 1, true);
    const { states } = child;
    await until('the end of the second attempt', () => states.length === 4);
    expect(states.map(({ status }) => status.state)).toEqual([
      'connecting',
      'waiting',
      'connecting',
      'waiting',
    ]);
    expect(states[1]?.status.reason).toMatch(new RegExp(`^${httpUrl} cannot be reached: `));
    // Far below the time-out of an attempt, which is what an attempt without an end takes.
    expect((states[3]?.at ?? NaN) - (states[0]?.at ?? NaN)).toBeLessThan(5_000);
  });
});
