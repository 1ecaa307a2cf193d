import { describe, expect, it } from '@jest/globals';
import { makeCertificate } from '../../support/certificate.js';
import { deflateAttacks, frameAttacks } from './frame.attacks.js';
import { expectUnharmed, Site, useSite } from './support/site.js';
import { runSocketAttack } from './support/socket-attack.js';

const certificate = makeCertificate('localhost');

const KINDS = [
  ['frames', frameAttacks, () => Site.start()],
  [
    'frames over TLS',
    frameAttacks,
    () =>
      Site.start({ requireTls: true }, { application: { httpsOptions: certificate }, ca: certificate.cert }),
  ],
  ['compressed frames', deflateAttacks, () => Site.start({ compression: true })],
] as const;

describe.each(KINDS)('Attacks by %s', (_, attacks, start) => {
  const site = useSite(start);

  it.each(attacks)(
    '$name is answered as documented ($clause) (G14, G16, G24, P4, P6, P8)',
    async (attack) => {
      await runSocketAttack(site(), attack);
      await site().checkNeighbour();
      expect(site().app.logger.at('error')).toEqual([]);
    },
  );

  expectUnharmed(site, async () => {
    for (const attack of attacks) await runSocketAttack(site(), attack);
  });
});
