import { afterEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { UpgradeRefused } from '../../support/wire/client.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';
import { ask, hello } from '../http-session/raw.js';

let server: WireServer;
afterEach(() => server.close());

/** A server whose room for new connections is used up. @returns the ticket of one that was there. */
async function start(): Promise<string> {
  const limits = { nodeConnectsPerSecond: 1, nodeReturnsPerSecond: 100, admissionWaitMs: 0 };
  server = await startWireServer({ clock: new ManualClock(), settings: { anonymous: true, limits } });
  const { welcome } = await server.connect('ada');
  await server.connect('eve');
  return welcome?.session ?? '';
}

describe('clients that come back, where a node takes no more new ones (P2d, G17)', () => {
  const upgrade = (protocols: string[]) =>
    server.open({ protocols: ['realtime.v1.json', ...protocols] }).then(
      () => 101,
      (error: unknown) => {
        if (!(error instanceof UpgradeRefused)) throw error;
        return error.status;
      },
    );

  it('an upgrade with the ticket of a session is taken, one without or with another waits or is refused', async () => {
    const ticket = await start();
    expect(await upgrade([])).toBe(503);
    expect(await upgrade([`resume.x${ticket}`])).toBe(503);
    expect(await upgrade([`resume.${ticket}`])).toBe(101);
  });

  it.each(['sse', 'poll'])('so is a session over HTTP that opens with it: %s (P21)', async (path) => {
    const ticket = await start();
    const opened = (headers: Record<string, string>) =>
      ask(`${server.httpUrl}/${path}`, JSON.stringify(hello({ token: 'bad' })), { headers });
    const refused = await opened({});
    expect(refused).toMatchObject({ status: 503 });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(2);
    expect((await opened({ 'Realtime-Resume': ticket })).status).toBe(200);
  });
});
