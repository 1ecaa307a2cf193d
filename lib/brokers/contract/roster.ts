import type { PresenceEntry } from '../../core/ports/broker.js';
import type { PresenceDiff, PresenceMember, PresencePage } from '../../protocol/messages.js';
import type { ContractNode } from './harness.js';
import type { Random } from './random.js';
import type { ContractExpect } from './runner.js';
import { ids, type ContractContext } from './context.js';

const entry = (channel: string, member: string, change: Partial<PresenceEntry> = {}): PresenceEntry => ({
  channel,
  member,
  device: `${member}-d`,
  generation: 1,
  ...change,
});

/** For members that must stay, however long the test takes. */
const LONG_LEASE_MS = 600_000;

const page = (node: ContractNode, channel: string): Promise<PresencePage> =>
  node.broker.presence.members(channel, { limit: 1_000 });

/** Presence: pages, versions, and diffs that follow one another. */
export function rosterContract(context: ContractContext): void {
  const { it, expect } = context;

  async function enterAll(node: ContractNode, channel: string, names: readonly string[]): Promise<void> {
    for (const name of names) await node.broker.presence.enter(entry(channel, name), LONG_LEASE_MS);
  }

  async function walk(node: ContractNode, channel: string, limit: number, between?: () => Promise<void>) {
    const found: PresenceMember[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const { members, more }: PresencePage = await node.broker.presence.members(channel, {
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      expect(members.length).toBeLessThanOrEqual(limit);
      found.push(...members);
      pages += 1;
      if (pages > 1_000) throw new Error('members() always names a next page');
      cursor = more;
      await between?.();
    } while (cursor !== undefined);
    return found.map((member) => member.id);
  }

  it('gives a channel without members a version from which diffs continue (P11, G19)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const empty = await page(left, channel);
    expect(empty).toMatchObject({
      members: [],
      count: 0,
      version: expect.any(Number),
      epoch: expect.any(String),
    });
    expect(empty.more).toBeUndefined();
    expect(await page(right, channel)).toEqual(empty);

    await right.broker.log.subscribe(channel);
    await enterAll(left, channel, ['u1']);
    await context.eventually(() => expect(right.seen.diffsOf(channel)).toHaveLength(1));
    expect(right.seen.diffsOf(channel)[0]).toMatchObject({ epoch: empty.epoch, previous: empty.version });
  });

  it('links each diff to the version before it, and gives a page the version of the last diff (G19)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await right.broker.log.subscribe(channel);
    const before = await page(left, channel);
    await enterAll(left, channel, ['u1', 'u2', 'u3']);
    await left.broker.presence.update(entry(channel, 'u2', { data: 'x' }));
    await left.broker.presence.leave(entry(channel, 'u1'), 0);
    await context.eventually(() => expect(right.seen.diffsOf(channel)).toHaveLength(5));
    let last = before.version;
    for (const diff of right.seen.diffsOf(channel)) {
      expect(diff).toMatchObject({ epoch: before.epoch, previous: last });
      expect(diff.version).toBeGreaterThan(last);
      last = diff.version;
    }
    expect(await page(left, channel)).toMatchObject({ epoch: before.epoch, version: last, count: 2 });
  });

  it('returns every member once across pages, in the same order on every node (G19, P5)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const names = ids('u', 25);
    await enterAll(left, channel, names);
    const all = await walk(left, channel, 10);
    expect([...all].sort()).toEqual([...names].sort());
    expect(await walk(right, channel, 7)).toEqual(all);
    expect(await walk(right, channel, 25)).toEqual(all);
    expect(await walk(right, channel, 1)).toEqual(all);
    const first = await left.broker.presence.members(channel, { limit: 10 });
    expect(first).toMatchObject({ count: 25, more: expect.any(String) });
  });

  it('returns each member that stays exactly once while others come and go between pages (G19)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const [stay, go] = [ids('stay', 20), ids('go', 20)];
    await enterAll(
      left,
      channel,
      stay.flatMap((name, index) => [name, go[index] ?? '']),
    );
    let round = 0;
    const seen = await walk(right, channel, 4, async () => {
      round += 1;
      for (const index of [round, 20 - round]) {
        const name = go[index];
        if (name !== undefined) await left.broker.presence.leave(entry(channel, name), 0);
      }
      await enterAll(left, channel, [`new${round}`]);
      if (round > 100) throw new Error('The walk does not end');
    });
    expect(seen.filter((name) => name.startsWith('stay')).sort()).toEqual([...stay].sort());
  });

  it('refuses a cursor that the broker did not create, with bad_request, whether or not there are members (P5)', async () => {
    const node = await context.node();
    const channel = context.channel();
    await enterAll(node, channel, ['u1', 'u2']);
    for (const name of [channel, context.channel()]) {
      for (const cursor of ['', '0', '01', 'zzz', '-1', '1e9', '\u0000', '{}', '99999999999999999999']) {
        const asked = Promise.resolve().then(() => node.broker.presence.members(name, { cursor, limit: 10 }));
        const answer = await asked.catch((error: unknown) => error);
        expect([cursor, (answer as { code?: unknown }).code]).toEqual([cursor, 'bad_request']);
      }
    }
    const { more } = await node.broker.presence.members(channel, { limit: 1 });
    const rest = await node.broker.presence.members(channel, { cursor: more ?? '', limit: 1 });
    expect(rest.members).toHaveLength(1);
  });

  it('builds the next page from an earlier page and the diffs after it (G19)', async () => {
    const [left, right] = await context.twoNodes();
    const { leaseMs, slackMs } = context.windows;
    // No step has to finish within it, so it may be short where a test has to wait.
    const graceMs = leaseMs / 6;
    const action = (random: Random) => ({
      node: random.pick([0, 1]),
      kind: random.pick(['enter', 'update', 'leave', 'bye', 'renew', 'wait']),
      member: random.pick(['u1', 'u2', 'u3']),
      device: random.pick(['d1', 'd2']),
      generation: random.int(1, 3),
      data: random.pick([undefined, 'a', 'b']),
    });
    await context.check(
      {
        make: (random) => random.list(1, 25, action),
        check: async (actions) => {
          const channel = context.channel();
          await left.broker.log.subscribe(channel);
          const start = await page(right, channel);
          for (const { kind, node, ...fields } of actions) {
            const { presence } = (node === 0 ? left : right).broker;
            const one: PresenceEntry = { channel, ...fields };
            if (kind === 'enter') await presence.enter(one, leaseMs);
            else if (kind === 'update') await presence.update(one);
            else if (kind === 'leave') await presence.leave(one, graceMs);
            else if (kind === 'bye') await presence.leave(one, 0);
            else if (kind === 'renew') await presence.renew([one], leaseMs);
            // A fraction of the grace: some of the following steps come before its end, some after.
            else await context.harness.advance(graceMs * 0.4);
          }
          await context.harness.advance(graceMs + slackMs);
          await context.harness.quiet();
          const end = await page(right, channel);
          // The page itself may have ended a lease, whose diff is then still on its way.
          await context.eventually(() => {
            // A lease that ends after the page is not in the page.
            const told = left.seen.diffsOf(channel).filter(({ version }) => version <= end.version);
            const applied = apply(expect, start, told);
            expect(applied.version).toBe(end.version);
            expect(applied.members).toEqual(new Map(end.members.map((member) => [member.id, member])));
          });
          await left.broker.log.unsubscribe(channel);
        },
      },
      Math.min(context.harness.runs, 100),
    );
  });

  it('puts only the changes into a diff, with the number of members after it (P22a, G19)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    // On a busy machine two thousand members take longer than the short lease of a broker with a real clock.
    await left.broker.presence.renew(
      ids('u', 2_000).map((name) => entry(channel, name)),
      LONG_LEASE_MS,
    );
    await right.broker.log.subscribe(channel);
    await enterAll(left, channel, ['one', 'two']);
    await right.broker.presence.leave(entry(channel, 'u1'), 0);
    await left.broker.presence.update(entry(channel, 'u2', { data: 'x' }));
    await context.eventually(() => expect(right.seen.diffsOf(channel)).toHaveLength(4));
    const told = right.seen.diffsOf(channel).map(({ join, update, leave, count }) => ({
      changed: [...join, ...update].map(({ id }) => id).concat(leave),
      count,
    }));
    expect(told).toEqual([
      { changed: ['one'], count: 2_001 },
      { changed: ['two'], count: 2_002 },
      { changed: ['u1'], count: 2_001 },
      { changed: ['u2'], count: 2_001 },
    ]);
    expect((await page(left, channel)).count).toBe(2_001);
  });

  it('publishes at most one diff per member when many devices enter or expire at once (G19)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const { leaseMs, slackMs } = context.windows;
    await right.broker.log.subscribe(channel);
    const entries = ids('u', 40).flatMap((name) => [
      entry(channel, name, { device: `${name}-1` }),
      entry(channel, name, { device: `${name}-2` }),
    ]);
    await left.broker.presence.renew(entries, leaseMs);
    await context.harness.quiet();
    expect(right.seen.diffsOf(channel).length).toBeLessThanOrEqual(40);
    expect(await page(right, channel)).toMatchObject({ count: 40 });
    await context.harness.advance(leaseMs + slackMs);
    await context.eventually(async () => expect(await page(right, channel)).toMatchObject({ count: 0 }));
    await context.harness.quiet();
    const gone = right.seen.diffsOf(channel).flatMap((diff) => diff.leave);
    expect(gone).toHaveLength(40);
    expect(new Set(gone).size).toBe(40);
  });
}

/** Members as a client derives them; fails where a diff does not follow the one before, or contradicts it. */
function apply(expect: ContractExpect, start: PresencePage, diffs: readonly PresenceDiff[]) {
  const members = new Map(start.members.map((member) => [member.id, member]));
  let { version } = start;
  for (const diff of diffs) {
    expect(diff).toMatchObject({ epoch: start.epoch, previous: version });
    expect(diff.join.length + diff.update.length + diff.leave.length).toBeGreaterThan(0);
    for (const member of diff.join) {
      expect(members.has(member.id)).toBe(false);
      members.set(member.id, member);
    }
    for (const member of diff.update) {
      expect(members.has(member.id)).toBe(true);
      members.set(member.id, member);
    }
    for (const id of diff.leave) expect(members.delete(id)).toBe(true);
    expect(diff.count).toBe(members.size);
    version = diff.version;
  }
  return { members, version };
}
