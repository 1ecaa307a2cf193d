import { beforeEach, describe, expect, it } from '@jest/globals';
import { ConnectRate } from '../../../../lib/core/access/connect-rate.js';
import type { Handshake } from '../../../../lib/core/ports/connection.js';
import { ENGINE_DEFAULTS } from '../../../../lib/core/ports/settings-defaults.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { handshakeOf } from '../../../support/engine/handshake.js';

describe('the rate of new connections (P18c, G17)', () => {
  let clock: ManualClock;
  let rate: ConnectRate;
  let came: string[];

  beforeEach(() => {
    clock = new ManualClock();
    came = [];
    rate = new ConnectRate({
      clock,
      settings: {
        limits: {
          ...ENGINE_DEFAULTS.limits,
          connectsPerSecond: 1,
          maxConnectionsPerAddress: 2,
          admissionWaitMs: 2_000,
        },
      },
    });
  });

  function enter(name: string, ip = '1.1.1.1'): Handshake {
    const handshake = handshakeOf({ ip });
    const note = (refusal: { retryAfterMs?: number } | undefined): void =>
      void came.push(refusal === undefined ? name : `${name} after ${refusal.retryAfterMs}`);
    const turn = rate.enter(handshake, 0);
    if (turn instanceof Promise) void turn.then(note);
    else note(turn);
    return handshake;
  }

  async function arrived(): Promise<string[]> {
    await settle();
    return came.splice(0);
  }

  it('none waits within the rate', async () => {
    for (const name of ['a', 'b']) enter(name);
    expect(came).toEqual(['a', 'b']);
    enter('c', '2.2.2.2');
    expect(await arrived()).toEqual(['a', 'b', 'c']);
    expect(clock.pending).toBe(0);
  });

  it('one that comes when the turn of another is due, whose timer is late, does not overtake it', async () => {
    for (const name of ['a', 'b']) enter(name);
    clock.schedule(1_000, () => void enter('d'));
    enter('c');
    clock.advance(1_000);
    expect(await arrived()).toEqual(['a', 'b', 'c']);
    clock.advance(1_000);
    expect(await arrived()).toEqual(['d']);
    expect(clock.pending).toBe(0);
  });

  it('what does not wait is refused where it would have to, and overtakes nobody', async () => {
    const handshake = handshakeOf({ ip: '1.1.1.1' });
    expect(rate.enterAtOnce(handshake)).toBeUndefined();
    enter('a');
    expect(rate.enterAtOnce(handshake)).toMatchObject({ status: 429, retryAfterMs: 2_000 });
    let late: unknown;
    clock.schedule(1_000, () => (late = rate.enterAtOnce(handshake)));
    enter('b');
    clock.advance(999);
    expect(await arrived()).toEqual(['a']);
    clock.advance(1);
    expect(late).toMatchObject({ status: 429 });
    expect(await arrived()).toEqual(['b']);
    clock.advance(1_000);
    expect(rate.enterAtOnce(handshake)).toBeUndefined();
    expect(clock.pending).toBe(0);
  });

  it('after a stall all are served that are due, and no more', async () => {
    for (const name of ['a', 'b', 'c', 'd']) enter(name);
    clock.advance(2_000);
    expect(await arrived()).toEqual(['a', 'b', 'c', 'd']);
    enter('e');
    expect(await arrived()).toEqual([]);
    clock.advance(1_000);
    expect(await arrived()).toEqual(['e']);
  });

  it('the advice of a refusal is how long it would have waited, two seconds at least', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) enter(name);
    expect(await arrived()).toEqual(['a', 'b', 'e after 3000']);
    clock.advance(1_500);
    enter('f');
    expect(await arrived()).toEqual(['c']);
    clock.advance(1_500);
    expect(await arrived()).toEqual(['d', 'f']);
  });

  it('who left takes nothing of the rate', async () => {
    for (const name of ['a', 'b']) enter(name);
    const gone = enter('c');
    enter('d');
    rate.leave(gone);
    rate.leave(gone);
    clock.advance(1_000);
    expect(await arrived()).toEqual(['a', 'b', 'c after 2000', 'd']);
    expect(clock.pending).toBe(0);
  });
});
