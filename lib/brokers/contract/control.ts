import type { ControlMessage } from '../../core/ports/control.js';
import { range, type ContractContext } from './context.js';

const RECORDS: readonly ControlMessage[] = [
  { kind: 'disconnect', user: 'u1', reason: 'bye' },
  { kind: 'revoke', user: 'u1', channel: 'rooms.1', reason: 'kicked' },
  { kind: 'revoke', user: 'u1' },
  { kind: 'ban', user: 'u1', until: 4_102_444_800_000, reason: 'spam', by: 'admin' },
  { kind: 'unban', user: 'u1', by: 'admin' },
  { kind: 'supersede', lineage: 'l1', generation: 7 },
];

/** How a listener fails to apply a record. */
const FAILURES: Readonly<Record<string, () => Promise<void>>> = {
  rejects: () => Promise.reject(new Error('no')),
  throws: () => {
    throw new Error('no');
  },
};

/** Control records: order, confirmation, and bans for nodes that start later. */
export function controlContract(context: ContractContext): void {
  const { it, expect } = context;

  it('G11 a record reaches every node, the sender included, as it was sent, and all confirm', async () => {
    const [left, right] = await context.twoNodes();
    for (const record of RECORDS) {
      const receipt = await left.broker.bus.control(record);
      expect([...receipt.confirmed].sort()).toEqual([left.id, right.id].sort());
      expect(receipt.missing).toEqual([]);
    }
    for (const { seen } of [left, right]) expect(seen.controls).toEqual(RECORDS);
  });

  it('G11 records of two nodes at once have one order everywhere', async () => {
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
    const ofLeft = left.seen.controls.filter((message) => 'user' in message && message.user.startsWith('l'));
    expect(ofLeft).toEqual(range(1, 25).map((number) => record(`l${number}`)));
  });

  it('G11 resolves only when every node has applied the record', async () => {
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
    it(`G11 names a node whose application of the record ${name}`, async () => {
      const [left, right] = await context.twoNodes();
      right.seen.controlHook = hook;
      const sent = left.broker.bus.control({ kind: 'revoke', user: 'u1' });
      await context.eventually(() => expect(right.seen.controls).toHaveLength(1));
      // A broker may learn of the failure, or only of the silence.
      await context.harness.advance(context.windows.controlTimeoutMs + context.windows.slackMs);
      expect(await sent).toEqual({ confirmed: [left.id], missing: [right.id] });
    });
  }

  it('G11 names a node that does not answer in time', async () => {
    const [left, right] = await context.twoNodes();
    right.seen.controlHook = () => new Promise(() => undefined);
    const sent = left.broker.bus.control({ kind: 'ban', user: 'u1' });
    await context.eventually(() => expect(right.seen.controls).toHaveLength(1));
    await context.harness.advance(context.windows.controlTimeoutMs + context.windows.slackMs);
    expect(await sent).toEqual({ confirmed: [left.id], missing: [right.id] });
  });

  it('G11 a record that is slow to apply holds up no other', async () => {
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

  it('G11 a node that was closed is neither told nor waited for', async () => {
    const [left, right] = await context.twoNodes();
    await right.broker.close();
    expect(await left.broker.bus.control({ kind: 'disconnect', user: 'u1' })).toEqual({
      confirmed: [left.id],
      missing: [],
    });
    expect(right.seen.controls).toEqual([]);
  });

  it('G11 a node that starts later is told the bans that hold, and no more', async () => {
    const node = await context.node();
    const until = (user: string, ms: number): ControlMessage => ({ kind: 'ban', user, until: ms });
    const far = 4_102_444_800_000;
    await node.broker.bus.control(until('lifted', far));
    await node.broker.bus.control({ kind: 'ban', user: 'forever', reason: 'spam', by: 'admin' });
    await node.broker.bus.control(until('changed', far));
    await node.broker.bus.control(until('changed', far + 1));
    await node.broker.bus.control({ kind: 'unban', user: 'lifted' });
    await node.broker.bus.control(until('over', 1_000));
    await node.broker.bus.control({ kind: 'disconnect', user: 'kicked' });
    const late = await context.node();
    const bans = late.seen.controls.filter((message) => message.kind === 'ban');
    expect(bans).toEqual(
      expect.arrayContaining([
        { kind: 'ban', user: 'forever', reason: 'spam', by: 'admin' },
        until('changed', far + 1),
      ]),
    );
    expect(bans.map((ban) => ban.user).sort()).toEqual(['changed', 'forever']);
    expect(late.seen.controls).toHaveLength(2);
  });
}
