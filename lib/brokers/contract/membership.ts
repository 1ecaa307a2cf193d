import type { PresenceEntry } from '../../core/ports/broker.js';
import type { ContractNode } from './harness.js';
import type { ContractContext } from './context.js';

/** For members that must stay, however long the test takes. */
const LONG_LEASE_MS = 600_000;

/** Presence: who is a member, on every node, through leases, graces and generations. */
export function membershipContract(context: ContractContext): void {
  const { it, expect } = context;

  /** Two subscribed nodes: what happens on the left must be seen on the right. */
  async function room() {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await Promise.all([left.broker.log.subscribe(channel), right.broker.log.subscribe(channel)]);
    const entry = (change: Partial<PresenceEntry> = {}): PresenceEntry => ({
      channel,
      member: 'u1',
      device: 'd1',
      generation: 1,
      ...change,
    });
    const { leaseMs, graceMs, slackMs } = context.windows;
    return { left, right, channel, entry, presence: left.broker.presence, leaseMs, graceMs, slackMs };
  }

  const members = async (node: ContractNode, channel: string) =>
    (await node.broker.presence.members(channel, { limit: 100 })).members;

  /** Expects exactly these diffs on each node, as `+member×devices`, `~member×devices` and `-member`. */
  async function expectDiffs(nodes: readonly ContractNode[], channel: string, diffs: readonly string[]) {
    const words = (node: ContractNode) =>
      node.seen
        .diffsOf(channel)
        .map(({ join, update, leave }) =>
          [
            ...join.map(({ id, devices }) => `+${id}×${devices}`),
            ...update.map(({ id, devices }) => `~${id}×${devices}`),
            ...leave.map((id) => `-${id}`),
          ].join(' '),
        );
    await context.eventually(() => {
      for (const node of nodes) expect(words(node).length).toBeGreaterThanOrEqual(diffs.length);
    });
    await context.harness.quiet();
    for (const node of nodes) expect(words(node)).toEqual(diffs);
  }

  it('G19 one who enters is a member on every node, and joins once', async () => {
    const { left, right, channel, entry, presence } = await room();
    await presence.enter(entry({ data: { name: 'Ada' } }), LONG_LEASE_MS);
    for (const node of [left, right]) {
      expect(await members(node, channel)).toEqual([{ id: 'u1', devices: 1, data: { name: 'Ada' } }]);
    }
    await expectDiffs([left, right], channel, ['+u1×1']);
    expect(right.seen.diffsOf(channel)[0]?.join).toEqual([{ id: 'u1', devices: 1, data: { name: 'Ada' } }]);
  });

  it('G19 several devices of a user are one member, which leaves with the last of them', async () => {
    const { left, right, channel, entry, presence } = await room();
    await presence.enter(entry(), LONG_LEASE_MS);
    await right.broker.presence.enter(entry({ device: 'd2' }), LONG_LEASE_MS);
    expect(await members(left, channel)).toMatchObject([{ id: 'u1', devices: 2 }]);
    await presence.leave(entry(), 0);
    expect(await members(right, channel)).toMatchObject([{ id: 'u1', devices: 1 }]);
    await presence.leave(entry({ device: 'd2' }), 0);
    expect(await members(left, channel)).toEqual([]);
    await expectDiffs([left, right], channel, ['+u1×1', '~u1×2', '~u1×1', '-u1']);
  });

  it('G19 entering again, and a renewal, change nothing that others see', async () => {
    const { left, right, channel, entry, presence } = await room();
    const data = { mood: 'good', tags: ['a'] };
    await presence.enter(entry({ data }), LONG_LEASE_MS);
    await right.broker.presence.enter(entry({ data: structuredClone(data) }), LONG_LEASE_MS);
    await presence.enter(entry(), LONG_LEASE_MS);
    await presence.renew([entry({ data })], LONG_LEASE_MS);
    await expectDiffs([left, right], channel, ['+u1×1']);
    expect(await members(left, channel)).toEqual([{ id: 'u1', devices: 1, data }]);
  });

  it('G19 a blip inside the grace is no leave and no join', async () => {
    const { left, right, channel, entry, presence, graceMs, slackMs } = await room();
    await presence.enter(entry(), LONG_LEASE_MS);
    await presence.leave(entry(), graceMs);
    expect(await members(right, channel)).toMatchObject([{ id: 'u1', devices: 1 }]);
    await context.harness.advance(graceMs * 0.3);
    await right.broker.presence.enter(entry({ generation: 2 }), LONG_LEASE_MS);
    await context.harness.advance(graceMs + slackMs);
    expect(await members(left, channel)).toMatchObject([{ id: 'u1', devices: 1 }]);
    await expectDiffs([left, right], channel, ['+u1×1']);
  });

  it('G19 one who does not come back inside the grace leaves, once', async () => {
    const { left, right, channel, entry, presence, leaseMs, graceMs, slackMs } = await room();
    await presence.enter(entry(), leaseMs);
    await presence.leave(entry(), graceMs);
    await context.harness.advance(graceMs + slackMs);
    await expectDiffs([left, right], channel, ['+u1×1', '-u1']);
    expect(await members(right, channel)).toEqual([]);
    await context.harness.advance(leaseMs + slackMs);
    await expectDiffs([left, right], channel, ['+u1×1', '-u1']);
  });

  it('G19 a leave without grace ends a grace that runs, a later one does not put it off', async () => {
    const { left, right, channel, entry, presence, graceMs, slackMs } = await room();
    await presence.enter(entry(), LONG_LEASE_MS);
    await presence.enter(entry({ member: 'u2', device: 'd2' }), LONG_LEASE_MS);
    await presence.leave(entry(), graceMs);
    await presence.leave(entry({ member: 'u2', device: 'd2' }), graceMs);
    await presence.leave(entry(), 0);
    expect(await members(left, channel)).toMatchObject([{ id: 'u2' }]);
    await context.harness.advance(graceMs * 0.5);
    await presence.leave(entry({ member: 'u2', device: 'd2' }), graceMs);
    await context.harness.advance(graceMs * 0.5 + slackMs);
    await expectDiffs([left, right], channel, ['+u1×1', '+u2×1', '-u1', '-u2']);
  });

  it('G19 members whose node is gone leave within the lease, once', async () => {
    const { left, right, channel, entry, presence, leaseMs, slackMs } = await room();
    await presence.enter(entry(), leaseMs);
    await presence.enter(entry({ member: 'u2', device: 'd2' }), leaseMs);
    await left.broker.close();
    expect(await members(right, channel)).toHaveLength(2);
    await context.harness.advance(leaseMs + slackMs);
    await context.eventually(async () => expect(await members(right, channel)).toEqual([]));
    await context.harness.quiet();
    const gone = right.seen.diffsOf(channel).flatMap((diff) => diff.leave);
    expect([...gone].sort()).toEqual(['u1', 'u2']);
  });

  it('G19 renewals keep members beyond their first lease', async () => {
    const { left, right, channel, entry, presence, leaseMs, slackMs } = await room();
    const both = [entry(), entry({ member: 'u2', device: 'd2' })];
    for (const one of both) await presence.enter(one, leaseMs);
    for (let round = 0; round < 3; round += 1) {
      await context.harness.advance(leaseMs * 0.6);
      await presence.renew(both, leaseMs);
    }
    expect(await members(right, channel)).toHaveLength(2);
    await expectDiffs([left, right], channel, ['+u1×1', '+u2×1']);
    await context.harness.advance(leaseMs + slackMs);
    await context.eventually(async () => expect(await members(right, channel)).toEqual([]));
  });

  it('G19 a renewal brings back whose lease ran out while its node stood still', async () => {
    const { right, channel, entry, presence, leaseMs, slackMs } = await room();
    await presence.enter(entry({ data: 'here' }), leaseMs);
    await context.harness.advance(leaseMs + slackMs);
    await context.eventually(async () => expect(await members(right, channel)).toEqual([]));
    await presence.renew([entry({ data: 'here' })], leaseMs);
    expect(await members(right, channel)).toEqual([{ id: 'u1', devices: 1, data: 'here' }]);
  });

  it('G19 a renewal does not hold one who is leaving', async () => {
    const { right, channel, entry, presence, graceMs, slackMs } = await room();
    await presence.enter(entry(), LONG_LEASE_MS);
    await presence.leave(entry(), graceMs);
    await presence.renew([entry()], LONG_LEASE_MS);
    await context.harness.advance(graceMs + slackMs);
    await context.eventually(async () => expect(await members(right, channel)).toEqual([]));
  });

  it('P28 G19 an older generation can neither change nor end a newer one’s membership', async () => {
    const { left, right, channel, entry, presence, graceMs, slackMs } = await room();
    await presence.enter(entry({ generation: 1, data: 'old' }), LONG_LEASE_MS);
    await right.broker.presence.enter(entry({ generation: 2, data: 'new' }), LONG_LEASE_MS);
    const stale = entry({ generation: 1, data: 'stale' });
    await presence.update(stale);
    await presence.enter(stale, LONG_LEASE_MS);
    await presence.renew([stale], LONG_LEASE_MS);
    await presence.leave(stale, 0);
    await presence.leave(stale, graceMs);
    await context.harness.advance(graceMs + slackMs);
    expect(await members(right, channel)).toEqual([{ id: 'u1', devices: 1, data: 'new' }]);
    await expectDiffs([left, right], channel, ['+u1×1', '~u1×1']);
    await presence.leave(entry({ generation: 2 }), 0);
    expect(await members(right, channel)).toEqual([]);
  });

  it('P28 G19 a renewal of an older generation does not prolong the newer one', async () => {
    const { right, channel, entry, presence, leaseMs, slackMs } = await room();
    await presence.enter(entry({ generation: 2 }), leaseMs);
    await context.harness.advance(leaseMs * 0.6);
    await presence.renew([entry({ generation: 1 })], leaseMs);
    await context.harness.advance(leaseMs * 0.4 + slackMs);
    await context.eventually(async () => expect(await members(right, channel)).toEqual([]));
  });

  it('P28 the newer generation of a session that was leaving stays', async () => {
    const { left, right, channel, entry, presence, graceMs, slackMs } = await room();
    await presence.enter(entry({ generation: 1 }), LONG_LEASE_MS);
    await presence.leave(entry({ generation: 1 }), graceMs);
    await presence.renew([entry({ generation: 2 })], LONG_LEASE_MS);
    await context.harness.advance(graceMs + slackMs);
    expect(await members(left, channel)).toMatchObject([{ id: 'u1', devices: 1 }]);
    await expectDiffs([left, right], channel, ['+u1×1']);
  });

  it('G19 `update` replaces the data of the member; the same data again is no news', async () => {
    const { left, right, channel, entry, presence } = await room();
    await presence.enter(entry({ data: { typing: false } }), LONG_LEASE_MS);
    await presence.update(entry({ data: { typing: true } }));
    await presence.update(entry({ data: { typing: true } }));
    expect(await members(right, channel)).toEqual([{ id: 'u1', devices: 1, data: { typing: true } }]);
    await expectDiffs([left, right], channel, ['+u1×1', '~u1×1']);
    expect(right.seen.diffsOf(channel)[1]?.update).toEqual([
      { id: 'u1', devices: 1, data: { typing: true } },
    ]);
  });

  it('G19 `update` makes nobody a member, and neither does `leave`', async () => {
    const { left, right, channel, entry, presence } = await room();
    await presence.update(entry({ data: 'ghost' }));
    await presence.leave(entry(), 0);
    expect(await members(right, channel)).toEqual([]);
    await expectDiffs([left, right], channel, []);
  });

  it('G19 only nodes that subscribed to the channel are told', async () => {
    const { left, right, channel, entry, presence } = await room();
    const other = context.channel();
    await presence.enter(entry({ channel: other }), LONG_LEASE_MS);
    await right.broker.log.unsubscribe(channel);
    await presence.enter(entry(), LONG_LEASE_MS);
    await expectDiffs([left], channel, ['+u1×1']);
    expect(right.seen.diffs).toEqual([]);
    expect(left.seen.diffsOf(other)).toEqual([]);
  });
}
