import { describe, expect, it } from '@jest/globals';
import { requestAttacks, smugglingAttacks } from './http.attacks.js';
import { runHttpAttack } from './support/http-attack.js';
import { expectUnharmed, Site, useSite } from './support/site.js';

const KINDS = [
  ['bytes that two servers read as different requests', smugglingAttacks],
  ['requests that are not those of the endpoint', requestAttacks],
] as const;

describe.each(KINDS)('Attacks by %s', (_, attacks) => {
  const site = useSite(() => Site.start());

  it.each(attacks)('$name is answered as documented ($clause) (P1, P2, P18, P20, P21)', async (attack) => {
    await runHttpAttack(site(), attack);
    await site().checkNeighbour();
    expect(site().app.logger.at('error')).toEqual([]);
  });

  expectUnharmed(site, async () => {
    for (const attack of attacks) await runHttpAttack(site(), attack);
  });
});
