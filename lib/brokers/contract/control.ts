import type { ControlMessage } from '../../core/ports/control.js';
import { range, type ContractContext } from './context.js';

const HOUR_MS = 3_600_000;

const RECORDS: readonly ControlMessage[] = [
  { kind: 'disconnect', user: 'u1', reason: 'bye' },
  { kind: 'revoke', user: 'u1', channel: 'rooms.1', reason: 'kicked' },
  { kind: 'revoke', user: 'u1' },
  { kind: 'revoke_pattern', user: 'u1', pattern: 'rooms.:room', reason: 'kicked' },
  { kind: 'reauthorize', user: 'u1', channel: 'rooms.:room', reason: 'role changed' },
  { kind: 'reauthorize' },
  { kind: 'ban', user: 'u1', forMs: HOUR_MS, reason: 'spam', by: 'admin' },
  { kind: 'unban', user: 'u1', by: 'admin' },
  { kind: 'abuse', of: 'user', id: 'u1', forMs: HOUR_MS },
  { kind: 'abuse', of: 'address', id: '2001:db8:1:2::/64', forMs: HOUR_MS },
  { kind: 'supersede', lineage: 'l1', generation: 7 },
  {
    kind: 'restrict',
    act: 'mute',
    whom: { of: 'user', id: 'u1' },
    channel: 'rooms.1',
    forMs: HOUR_MS,
    by: 'admin',
  },
  {
    kind: 'restrict',
    act: 'slow',
    whom: { of: 'everybody', id: '' },
    channel: 'rooms.:room',
    everyMs: 5_000,
  },
  {
    kind: 'lift',
    act: 'mute',
    whom: { of: 'user', id: 'u1' },
    channel: 'rooms.1',
    reason: 'sorry',
    by: 'admin',
  },
];

/** How a listener fails to apply a record. */
const FAILURES: Readonly<Record<string, () => Promise<void>>> = {
  rejects: () => Promise.reject(new Error('no')),
  throws: () => {
    throw new Error('no');
  },
};

/** The record with its time in whole hours: what is left of a ban is a little less than what it was sent with. */
function roundedUp(message: ControlMessage): ControlMessage {
  if (message.kind !== 'ban' && message.kind !== 'abuse' && message.kind !== 'restrict') return message;
  if (message.forMs === undefined) return message;
  return { ...message, forMs: Math.ceil(message.forMs / HOUR_MS) * HOUR_MS };
}

/** Control records: order, confirmation, and bans for nodes that start later. */
export function controlContract(context: ContractContext): void {
  const { it, expect } = context;

  it('delivers a control record unchanged to every node, the sender included, and reports all as confirmed (G11)', async () => {
    const [left, right] = await context.twoNodes();
    for (const record of RECORDS) {
      const receipt = await left.broker.bus.control(record);
      expect([...receipt.confirmed].sort()).toEqual([left.id, right.id].sort());
      expect(receipt.missing).toEqual([]);
    }
    for (const { seen } of [left, right]) expect(seen.controls.map(roundedUp)).toEqual(RECORDS);
  });

  it('delivers concurrent control records of two nodes in one order everywhere (G11)', async () => {
    const [left, right] = await context.twoNodes();
    const record = (user: string): ControlMessage => ({ kind: 'disconnect', user });
    await Promise.all(
      range(1, 25).flatMap((number) => [
        left.broker.bus.control(record(`l${number}`)),
        right.broker.bus.control(record(`r${number}`)),
      ]),
    );
    expect(left.seen.controls).toHaveLength(50);
    expect(right.seen.controls).toEqual(left.seen.controls);
    const ofLeft = left.seen.controls.filter(
      (message) => message.kind === 'disconnect' && message.user.startsWith('l'),
    );
    expect(ofLeft).toEqual(range(1, 25).map((number) => record(`l${number}`)));
  });

  it('resolves `control` only when every node has applied the record (G11)', async () => {
    const [left, right] = await context.twoNodes();
    let apply: () => void = () => undefined;
    right.seen.controlHook = () => new Promise((resolve) => (apply = resolve));
    let resolved = false;
    const sent = left.broker.bus.control({ kind: 'revoke', user: 'u1' }).then((receipt) => {
      resolved = true;
      return receipt;
    });
    await context.eventually(() => expect(right.seen.controls).toHaveLength(1));
    await context.harness.quiet();
    expect(resolved).toBe(false);
    apply();
    expect((await sent).missing).toEqual([]);
  });

  for (const [name, hook] of Object.entries(FAILURES)) {
    it(`reports a node as missing when its handling of a control record ${name} (G11)`, async () => {
      const [left, right] = await context.twoNodes();
      right.seen.controlHook = hook;
      const sent = left.broker.bus.control({ kind: 'revoke', user: 'u1' });
      await context.eventually(() => expect(right.seen.controls).toHaveLength(1));
      // A broker may learn of the failure, or only of the silence.
      await context.harness.advance(context.windows.controlTimeoutMs + context.windows.slackMs);
      expect(await sent).toEqual({ confirmed: [left.id], missing: [right.id] });
    });
  }

  it('reports a node as missing when it does not confirm in time (G11)', async () => {
    const [left, right] = await context.twoNodes();
    right.seen.controlHook = () => new Promise(() => undefined);
    const sent = left.broker.bus.control({ kind: 'ban', user: 'u1' });
    await context.eventually(() => expect(right.seen.controls).toHaveLength(1));
    await context.harness.advance(context.windows.controlTimeoutMs + context.windows.slackMs);
    expect(await sent).toEqual({ confirmed: [left.id], missing: [right.id] });
  });

  it('does not delay other control records while one is slow to apply (G11)', async () => {
    const [left, right] = await context.twoNodes();
    const waiting: (() => void)[] = [];
    right.seen.controlHook = (message) =>
      message.kind === 'revoke' ? new Promise((resolve) => waiting.push(resolve)) : undefined;
    const slow = left.broker.bus.control({ kind: 'revoke', user: 'u1' });
    const receipt = await left.broker.bus.control({ kind: 'ban', user: 'u1' });
    expect([...receipt.confirmed].sort()).toEqual([left.id, right.id].sort());
    for (const done of waiting) done();
    expect((await slow).missing).toEqual([]);
  });

  it('neither notifies nor waits for a closed node (G11)', async () => {
    const [left, right] = await context.twoNodes();
    await right.broker.close();
    expect(await left.broker.bus.control({ kind: 'disconnect', user: 'u1' })).toEqual({
      confirmed: [left.id],
      missing: [],
    });
    expect(right.seen.controls).toEqual([]);
  });

  it('hands the active bans, and nothing else, to a node that starts later (G11)', async () => {
    const node = await context.node();
    const banFor = (user: string, forMs: number): ControlMessage => ({ kind: 'ban', user, forMs });
    await node.broker.bus.control(banFor('lifted', HOUR_MS));
    await node.broker.bus.control({ kind: 'ban', user: 'forever', reason: 'spam', by: 'admin' });
    await node.broker.bus.control(banFor('changed', HOUR_MS));
    await node.broker.bus.control(banFor('changed', 2 * HOUR_MS));
    await node.broker.bus.control({ kind: 'unban', user: 'lifted' });
    await node.broker.bus.control(banFor('over', 1));
    await node.broker.bus.control({ kind: 'disconnect', user: 'kicked' });
    await context.harness.advance(1_000);
    const late = await context.node();
    const bans = late.seen.controls.filter((message) => message.kind === 'ban');
    const left = bans.find((ban) => ban.user === 'changed')?.forMs;
    // What is left of it, and not what it was.
    expect(left).toBeLessThanOrEqual(2 * HOUR_MS - 1_000);
    expect(bans.map(roundedUp)).toEqual(
      expect.arrayContaining([
        { kind: 'ban', user: 'forever', reason: 'spam', by: 'admin' },
        banFor('changed', 2 * HOUR_MS),
      ]),
    );
    expect(bans.map((ban) => ban.user).sort()).toEqual(['changed', 'forever']);
    expect(late.seen.controls).toHaveLength(2);
  });

  it('hands the restrictions that are in force, and nothing else, to a node that starts later (G30)', async () => {
    const node = await context.node();
    const mute = (id: string, forMs?: number, channel = 'rooms.1'): ControlMessage => ({
      kind: 'restrict',
      act: 'mute',
      whom: { of: 'user', id },
      channel,
      ...(forMs === undefined ? {} : { forMs }),
    });
    const lift = (id: string, channel?: string): ControlMessage => ({
      kind: 'lift',
      act: 'mute',
      whom: { of: 'user', id },
      ...(channel === undefined ? {} : { channel }),
    });
    const slow = (everyMs: number, channel = 'rooms.:room'): ControlMessage => ({
      kind: 'restrict',
      act: 'slow',
      whom: { of: 'everybody', id: '' },
      channel,
      everyMs,
    });
    const address: ControlMessage = {
      kind: 'restrict',
      act: 'ban',
      whom: { of: 'address', id: '2001:db8::/64' },
      reason: 'spam',
      by: 'admin',
    };
    const records: readonly ControlMessage[] = [
      mute('lifted'),
      mute('changed', HOUR_MS),
      mute('changed', 2 * HOUR_MS),
      mute('changed', 3 * HOUR_MS, 'rooms.2'),
      mute('forever'),
      mute('over', 1),
      // Of a pattern the names of parameters do not count.
      slow(5_000),
      slow(7_000, 'rooms.:id'),
      mute('pattern', HOUR_MS, 'rooms.:room'),
      { kind: 'abuse', of: 'address', id: '2001:db8::/64', forMs: HOUR_MS },
      address,
      // A ban from a channel says nothing of one for abuse.
      { kind: 'abuse', of: 'user', id: 'abuser', forMs: HOUR_MS },
      { kind: 'restrict', act: 'ban', whom: { of: 'user', id: 'abuser' }, channel: 'rooms.1' },
      lift('lifted', 'rooms.1'),
      lift('pattern', 'rooms.:any'),
      // Of other channels.
      lift('forever'),
      lift('forever', 'rooms.2'),
      { kind: 'unban', user: 'forever' },
    ];
    for (const record of records) await node.broker.bus.control(record);
    await context.harness.advance(1_000);
    const late = await context.node();
    const { controls } = late.seen;
    const changed = mute('changed', 2 * HOUR_MS);
    const expected = [
      changed,
      mute('changed', 3 * HOUR_MS, 'rooms.2'),
      mute('forever'),
      slow(7_000, 'rooms.:id'),
      address,
      { kind: 'abuse', of: 'user', id: 'abuser', forMs: HOUR_MS },
      { kind: 'restrict', act: 'ban', whom: { of: 'user', id: 'abuser' }, channel: 'rooms.1' },
    ];
    expect(controls.map(roundedUp)).toEqual(expect.arrayContaining(expected));
    expect(controls).toHaveLength(expected.length);
    // What is left of it, and not what it was.
    for (const record of controls)
      if (record.kind === 'restrict' && record.forMs !== undefined)
        expect(record.forMs % HOUR_MS).not.toBe(0);
  });

  it('hands the bans for abuse that hold to a node that starts later, with what is left of them (G16)', async () => {
    const node = await context.node();
    const abuse = (of: 'user' | 'address', id: string, forMs: number): ControlMessage => ({
      kind: 'abuse',
      of,
      id,
      forMs,
    });
    const records: readonly ControlMessage[] = [
      abuse('user', 'u1', 2 * HOUR_MS),
      // Neither the shorter one, nor one of an address with the same name, takes its place.
      abuse('user', 'u1', HOUR_MS),
      abuse('address', 'u1', HOUR_MS),
      abuse('address', 'u1', 3 * HOUR_MS),
      abuse('user', 'over', 1),
      // An administrator has the last word.
      abuse('user', 'lifted', HOUR_MS),
      { kind: 'unban', user: 'lifted' },
      abuse('user', 'banned', 2 * HOUR_MS),
      { kind: 'ban', user: 'banned', forMs: HOUR_MS },
      { kind: 'ban', user: 'both', forMs: HOUR_MS },
      abuse('user', 'both', 2 * HOUR_MS),
      abuse('address', '10.0.0.1', HOUR_MS),
      { kind: 'unban', user: '10.0.0.1' },
      { kind: 'revoke', user: 'u1' },
    ];
    for (const record of records) await node.broker.bus.control(record);
    // However much else was sent since.
    const since = range(1, 600).map((index): ControlMessage => ({ kind: 'disconnect', user: `u${index}` }));
    await Promise.all(since.map((record) => node.broker.bus.control(record)));
    await context.harness.advance(1_000);
    const late = await context.node();
    const { controls } = late.seen;
    const left = controls.find(
      (record) => record.kind === 'abuse' && record.of === 'user' && record.id === 'u1',
    );
    expect(left?.kind === 'abuse' ? left.forMs : Infinity).toBeLessThanOrEqual(2 * HOUR_MS - 1_000);
    const expected = [
      abuse('user', 'u1', 2 * HOUR_MS),
      abuse('address', 'u1', 3 * HOUR_MS),
      abuse('address', '10.0.0.1', HOUR_MS),
      abuse('user', 'both', 2 * HOUR_MS),
      { kind: 'ban', user: 'both', forMs: HOUR_MS },
      { kind: 'ban', user: 'banned', forMs: HOUR_MS },
    ];
    expect(controls.map(roundedUp)).toEqual(expect.arrayContaining(expected));
    expect(controls).toHaveLength(expected.length);
    // A node that is there already is notified once of each.
    expect(node.seen.controls).toHaveLength(records.length + since.length);
  });
}
