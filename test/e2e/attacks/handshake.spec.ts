import { describe, expect, it } from '@jest/globals';
import { cookieAttacks, hostAttacks, originAttacks } from './handshake.attacks.js';
import { runHttpAttack, type HttpAttack } from './support/http-attack.js';
import { expectUnharmed, Site, useSite } from './support/site.js';

const KINDS = [
  [
    'pages of other origins, where a list is set',
    originAttacks,
    () => Site.start({ allowedOrigins: ['https://app.example'] }),
  ],
  ['pages with the cookie of their visitor', cookieAttacks, () => Site.start()],
  ['names of the server', hostAttacks, () => Site.start({ allowedHosts: ['app.example'] })],
] as const satisfies readonly (readonly [string, readonly HttpAttack[], () => Promise<Site>])[];

describe.each(KINDS)('Attacks by %s', (_, attacks, start) => {
  const site = useSite(start);

  it.each(attacks)('$name is answered as documented ($clause) (G22, P2, P18, P20, P21)', async (attack) => {
    await runHttpAttack(site(), attack);
    await site().checkNeighbour();
    expect(site().app.logger.at('error')).toEqual([]);
  });

  expectUnharmed(site, async () => {
    for (const attack of attacks) await runHttpAttack(site(), attack);
  });
});
