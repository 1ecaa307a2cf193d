import { beforeEach, describe, expect, it } from '@jest/globals';
import { NodeConnects } from '../../../../lib/core/access/node-connects.js';
import { OverloadSwitch } from '../../../../lib/core/access/overload-switch.js';
import { TicketSigner } from '../../../../lib/core/access/ticket.js';
import type { Handshake } from '../../../../lib/core/ports/connection.js';
import { ENGINE_DEFAULTS } from '../../../../lib/core/ports/settings-defaults.js';
import type { InboundLimits } from '../../../../lib/core/ports/settings.js';
import type { Refusal } from '../../../../lib/core/ports/transport-host.js';
import { handshakeOf } from '../../../support/engine/handshake.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

const DAY_MS = 24 * 3_600_000;

describe('the rates of new connections of a node (G17, P18c)', () => {
  const signer = new TicketSigner('the secret of the cluster');
  let clock: ManualClock;
  let connects: NodeConnects;
  let came: string[];
  let overload: OverloadSwitch;
  let lineages = 0;

  function start(limits: Partial<InboundLimits> = {}): void {
    clock = new ManualClock();
    overload = new OverloadSwitch({ random: () => 0 });
    came = [];
    connects = new NodeConnects({
      clock,
      tickets: signer,
      overload,
      settings: {
        limits: {
          ...ENGINE_DEFAULTS.limits,
          nodeConnectsPerSecond: 1,
          nodeReturnsPerSecond: 2,
          admissionWaitMs: 3_000,
          ...limits,
        },
      },
    });
  }
  beforeEach(() => start());

  function ticketOf(lineage = `l${++lineages}`, issuedAt: number | undefined = clock.now()): string {
    return signer.sign({ user: 'ada', node: 'n', lineage, generation: 1, issuedAt });
  }

  function enter(name: string, ip: string, ticket?: string, since = clock.monotonic()): Handshake {
    const handshake = handshakeOf({ ip });
    const note = (refusal: Refusal | undefined): void =>
      void came.push(refusal === undefined ? name : `${name}: ${refusal.status} ${refusal.retryAfterMs}`);
    const turn = connects.enter(handshake, 0, ticket, since);
    if (turn instanceof Promise) void turn.then(note);
    else note(turn);
    return handshake;
  }

  async function arrived(): Promise<string[]> {
    await settle();
    return came.splice(0);
  }

  async function after(ms: number): Promise<string[]> {
    clock.advance(ms);
    return arrived();
  }

  it('twice the rate comes at once, the next ones wait, and who would wait too long is refused', async () => {
    for (let n = 1; n <= 6; n++) enter(`a${n}`, `1.1.1.${n}`);
    expect(await arrived()).toEqual(['a1', 'a2', 'a6: 503 4000']);
    expect(await after(999)).toEqual([]);
    expect(await after(1)).toEqual(['a3']);
    expect(await after(1_000)).toEqual(['a4']);
    expect(await after(1_000)).toEqual(['a5']);
    expect(clock.pending).toBe(0);
  });

  it('addresses take turns, so that a crowd at one of them holds up nobody else for long', async () => {
    for (let n = 1; n <= 5; n++) enter(`a${n}`, '1.1.1.1');
    enter('b', '2.2.2.2');
    expect(await arrived()).toEqual(['a1', 'a2']);
    expect(await after(1_000)).toEqual(['a3']);
    expect(await after(1_000)).toEqual(['b']);
    expect(await after(1_000)).toEqual(['a4']);
  });

  it('sessions that continue have a rate of their own, which strangers do not use up', async () => {
    for (let n = 1; n <= 9; n++) enter(`a${n}`, `1.1.1.${n}`);
    came = [];
    for (let n = 1; n <= 5; n++) enter(`r${n}`, `2.2.2.${n}`, ticketOf());
    expect(await arrived()).toEqual(['r1', 'r2', 'r3', 'r4']);
    expect(await after(500)).toEqual(['r5']);
  });

  it.each([
    [
      'of another secret',
      () =>
        new TicketSigner('another').sign({
          user: 'ada',
          node: 'n',
          lineage: 'x',
          generation: 1,
          issuedAt: clock.now(),
        }),
    ],
    ['that was altered', () => `x${ticketOf()}`],
    ['that is no ticket', () => 'ticket'],
    ['without a time', () => signer.sign({ user: 'ada', node: 'n', lineage: 'x', generation: 1 })],
    ['older than 7 days', () => ticketOf('x', clock.now() - 7 * DAY_MS)],
  ])('a ticket %s is none', async (_, make) => {
    for (let n = 1; n <= 5; n++) enter(`a${n}`, `1.1.1.${n}`);
    came = [];
    enter('r', '2.2.2.2', make());
    expect(await arrived()).toEqual(['r: 503 4000']);
  });

  it.each([
    ['of nearly 7 days', () => ticketOf('x', clock.now() - 7 * DAY_MS + 1)],
    ['of a node whose clock is ahead', () => ticketOf('x', clock.now() + 3_600_000)],
    [
      'of an anonymous client',
      () => signer.sign({ user: undefined, node: 'n', lineage: 'x', generation: 1, issuedAt: clock.now() }),
    ],
  ])('a ticket %s is one', async (_, make) => {
    for (let n = 1; n <= 5; n++) enter(`a${n}`, `1.1.1.${n}`);
    came = [];
    enter('r', '2.2.2.2', make());
    expect(await arrived()).toEqual(['r']);
  });

  it('one session comes back three times at once, and then once in two seconds', async () => {
    start({ nodeReturnsPerSecond: 100, admissionWaitMs: 0 });
    for (let n = 1; n <= 2; n++) enter(`a${n}`, `1.1.1.${n}`);
    came = [];
    const ticket = ticketOf();
    for (let n = 1; n <= 4; n++) enter(`r${n}`, '2.2.2.2', ticket);
    expect(await arrived()).toEqual(['r1', 'r2', 'r3', 'r4: 503 2000']);
    clock.advance(2_000);
    for (let n = 1; n <= 2; n++) enter(`a${n}`, `1.1.1.${n}`);
    for (let n = 5; n <= 6; n++) enter(`r${n}`, '2.2.2.2', ticket);
    expect(await arrived()).toEqual(['a1', 'a2', 'r5', 'r6: 503 2000']);
  });

  it('what it waited for before counts as well', async () => {
    for (const name of ['a1', 'a2']) enter(name, '1.1.1.1');
    clock.advance(500);
    enter('late', '1.1.1.1', undefined, clock.monotonic() - 2_501);
    enter('in time', '1.1.1.1', undefined, clock.monotonic() - 2_500);
    expect(await arrived()).toEqual(['a1', 'a2', 'late: 503 2000']);
    expect(await after(500)).toEqual(['in time']);
  });

  it('one that leaves gives its turn to the next', async () => {
    for (let n = 1; n <= 2; n++) enter(`a${n}`, '1.1.1.1');
    const gone = enter('gone', '1.1.1.1');
    const returning = [1, 2, 3, 4, 5].map((n) => enter(`r${n}`, '2.2.2.2', ticketOf()));
    enter('next', '1.1.1.1');
    connects.leave(gone);
    for (const handshake of returning) connects.leave(handshake);
    await arrived();
    expect(await after(1_000)).toEqual(['next']);
    expect(clock.pending).toBe(0);
  });

  it('0 is no bound', async () => {
    start({ nodeConnectsPerSecond: 0 });
    for (let n = 0; n < 100; n++) enter('a', `1.1.1.${n}`);
    start({ nodeReturnsPerSecond: 0 });
    for (let n = 0; n < 100; n++) enter('r', `1.1.1.${n}`, ticketOf());
    expect(await arrived()).toEqual(Array.from({ length: 100 }, () => 'r'));
  });

  it('10,000 clients come back within 10 s of a restart, whatever crowd of strangers comes beside them', async () => {
    const { nodeConnectsPerSecond, nodeReturnsPerSecond, admissionWaitMs } = ENGINE_DEFAULTS.limits;
    start({ nodeConnectsPerSecond, nodeReturnsPerSecond, admissionWaitMs });
    let back = 0;
    let strangers = 0;
    let random = 1;
    // As a client of the library comes: within the first spread, and after a refusal when it was told to.
    const comeBack = (n: number, ticket: string): void => {
      const turn = connects.enter(
        handshakeOf({ ip: `9.9.${n >> 8}.${n & 255}` }),
        500,
        ticket,
        clock.monotonic(),
      );
      const note = (refusal: Refusal | undefined): void => {
        if (refusal === undefined) back++;
        else
          clock.schedule(
            (refusal.retryAfterMs ?? 0) + ((random = (random * 16_807) % 2_147_483_647) % 1_000),
            () => comeBack(n, ticket),
          );
      };
      if (turn instanceof Promise) void turn.then(note);
      else note(turn);
    };
    for (let n = 0; n < 10_000; n++) {
      const ticket = ticketOf();
      clock.schedule((n * 2_000) / 10_000, () => comeBack(n, ticket));
    }
    for (let ms = 0; ms < 10_000; ms += 10) {
      for (let n = 0; n < 50; n++) {
        const turn = connects.enter(
          handshakeOf({ ip: `8.${n}.${ms >> 8}.${ms & 255}` }),
          500,
          undefined,
          clock.monotonic(),
        );
        const note = (refusal: Refusal | undefined): void => void (refusal === undefined && strangers++);
        if (turn instanceof Promise) void turn.then(note);
        else note(turn);
      }
      clock.advance(10);
      await Promise.resolve();
    }
    await settle();
    expect(back).toBe(10_000);
    expect(strangers).toBeGreaterThan(4_500);
    expect(strangers).toBeLessThanOrEqual(6_000);
  });
});
