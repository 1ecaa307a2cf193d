import { describe, expect, it } from '@jest/globals';
import { expectUnharmed, Site, useSite } from './support/site.js';
import { runSocketAttack } from './support/socket-attack.js';
import { tokenAttacks } from './token.attacks.js';

describe('Attacks by tokens', () => {
  const site = useSite(() => Site.start());

  it.each(tokenAttacks)(
    '$name is refused as documented ($clause) (G10, G12, G23, P3, P28)',
    async (attack) => {
      await runSocketAttack(site(), attack);
      await site().checkNeighbour();
      expect(site().app.logger.at('error')).toEqual([]);
    },
  );

  expectUnharmed(site, async () => {
    for (const attack of tokenAttacks) await runSocketAttack(site(), attack);
  });
});
