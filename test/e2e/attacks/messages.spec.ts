import { describe, expect, it } from '@jest/globals';
import { codecAttacks, msgpackAttacks, nameAttacks, payloadAttacks } from './message.attacks.js';
import { expectUnharmed, Site, useSite } from './support/site.js';
import { runSocketAttack } from './support/socket-attack.js';

const KINDS = [
  ['names', nameAttacks],
  ['payloads', payloadAttacks],
  ['MessagePack', [...msgpackAttacks, ...codecAttacks]],
] as const;

describe.each(KINDS)('Attacks by %s', (_, attacks) => {
  const site = useSite(() => Site.start());

  it.each(attacks)(
    '$name is answered as documented ($clause) (G9, G10, G24, P4–P6, P23, P29)',
    async (attack) => {
      await runSocketAttack(site(), attack);
      await site().checkNeighbour();
      expect(site().app.logger.at('error')).toEqual([]);
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    },
  );

  expectUnharmed(site, async () => {
    for (const attack of attacks) await runSocketAttack(site(), attack);
  });
});
