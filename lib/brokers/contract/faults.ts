import { ids, range, type ContractContext } from './context.js';
import { unreadableContract } from './unreadable.js';

/** Faults of the storage, as far as the harness can cause them. */
export function faultContract(context: ContractContext): void {
  const { it, expect } = context;

  if (context.can('loseEverything')) {
    it('gives a log that was lost a new epoch in which no earlier position is valid (G6, P10)', async () => {
      const [left, right] = await context.twoNodes();
      const channel = context.channel();
      await right.broker.log.subscribe(channel);
      const before = await context.append(left, channel, ids('e', 5));
      const { epoch } = before[0] ?? { epoch: '' };
      await context.eventually(() => expect(right.seen.seqsOf(channel)).toEqual(range(1, 5)));
      await context.fault('loseEverything')([channel]);

      const tip = await context.tip(left, channel);
      expect(tip.epoch).not.toBe(epoch);
      for (const from of [1, 3, 6, 7]) {
        const result = await right.broker.log.read({ channel, epoch, from, limit: 9 });
        expect(result).toMatchObject({ tip, continuous: false, events: [] });
      }
      const [next] = await context.append(left, channel, ['new']);
      expect(next).toEqual({ epoch: tip.epoch, seq: tip.seq + 1 });
      await context.eventually(() =>
        expect(right.seen.eventsOf(channel).at(-1)).toMatchObject({ id: 'new', ...next }),
      );
    });
  }

  if (context.can('stepWallClock')) {
    for (const stepMs of [-3_600_000, 3_600_000]) {
      it(`keeps members, ids and events for their time when the wall clock steps by ${stepMs} ms (G4, G19)`, async () => {
        const node = await context.node();
        const channel = context.channel();
        const { dedupeMs, ttlMs, leaseMs, slackMs } = context.windows;
        const shortest = Math.min(dedupeMs, ttlMs, leaseMs);
        const policy = { dedupeMs, ttlMs };
        const entry = { channel, member: 'u1', device: 'd1', generation: 1 };
        await context.append(node, channel, ['a'], policy);
        await node.broker.presence.enter(entry, leaseMs);
        await context.fault('stepWallClock')(stepMs);
        await context.harness.advance(shortest / 2);
        expect((await node.broker.presence.members(channel, { limit: 9 })).count).toBe(1);
        expect((await context.log(node, channel)).map(({ id }) => id)).toEqual(['a']);
        expect(
          (await node.broker.log.appendMany([context.request(channel, 'a', { policy })]))[0],
        ).toMatchObject({
          duplicate: true,
        });
        await context.harness.advance(Math.max(dedupeMs, ttlMs, leaseMs) - shortest / 2 + slackMs);
        expect((await node.broker.presence.members(channel, { limit: 9 })).count).toBe(0);
        expect(await context.log(node, channel)).toEqual([]);
        expect(
          (await node.broker.log.appendMany([context.request(channel, 'a', { policy })]))[0],
        ).toMatchObject({
          duplicate: false,
        });
      });
    }
  }

  if (context.can('loseEnd')) {
    it('gives a log that lost its end a new epoch; positions in the remaining part stay valid (G6, P10)', async () => {
      const [left, right] = await context.twoNodes();
      const channel = context.channel();
      const before = await context.append(left, channel, ids('e', 10));
      const { epoch } = before[0] ?? { epoch: '' };
      await context.fault('loseEnd')(channel, 6);
      const after = await context.append(right, channel, ids('n', 4));
      expect(new Set([...after, ...before].map((position) => position.epoch)).size).toBe(2);

      const from = (seq: number) => left.broker.log.read({ channel, epoch, from: seq, limit: 99 });
      for (const lost of [8, 10, 11])
        expect(await from(lost)).toMatchObject({ continuous: false, events: [] });
      for (const good of [1, 4, 7]) {
        const { continuous, events } = await from(good);
        expect(continuous).toBe(true);
        expect(events.map((event) => event.id)).toEqual([...ids('e', 6), ...ids('n', 4)].slice(good - 1));
        // A client that resumes continues under the new epoch, and drops events of any other (P14).
        expect(new Set(events.map((event) => event.epoch))).toEqual(new Set([after[0]?.epoch]));
      }
    });

    it('after several losses, accepts a position only in the part that every one of them kept (G6, P10)', async () => {
      const node = await context.node();
      const channel = context.channel();
      const epochOf = async () => (await context.tip(node, channel)).epoch;
      await context.append(node, channel, ids('a', 10));
      const first = await epochOf();
      await context.fault('loseEnd')(channel, 8);
      await context.append(node, channel, ids('b', 4));
      const second = await epochOf();
      await context.fault('loseEnd')(channel, 5);
      await context.append(node, channel, ids('c', 1));

      const good = async (epoch: string, seq: number) =>
        (await node.broker.log.read({ channel, epoch, from: seq + 1, limit: 99 })).continuous;
      expect(await Promise.all([5, 6, 8].map((seq) => good(first, seq)))).toEqual([true, false, false]);
      expect(await Promise.all([5, 6, 9].map((seq) => good(second, seq)))).toEqual([true, false, false]);
      expect((await context.log(node, channel)).map((event) => event.id)).toEqual([...ids('a', 5), 'c1']);
    });

    if (context.capabilities.dedupes) {
      it('appends a repeated publish if its event was lost, and recognizes it as a duplicate if it was kept (G4, G6)', async () => {
        const node = await context.node();
        const channel = context.channel();
        await context.append(node, channel, ['a', 'b', 'c']);
        await context.fault('loseEnd')(channel, 2);
        const outcomes = await node.broker.log.appendMany(
          ['b', 'c'].map((id) => context.request(channel, id)),
        );
        expect(outcomes).toMatchObject([
          { ok: true, duplicate: true, position: { seq: 2 } },
          { ok: true, duplicate: false, position: { seq: 3 } },
        ]);
      });
    }
  }

  if (context.can('spoilEvent')) unreadableContract(context);

  if (context.can('restart')) {
    it('keeps every position valid when the broker returns with all its data (G6)', async () => {
      const [left, right] = await context.twoNodes();
      const channel = context.channel();
      await right.broker.log.subscribe(channel);
      const before = await context.append(left, channel, ids('e', 5));
      const { epoch } = before[0] ?? { epoch: '' };
      await context.eventually(() => expect(right.seen.seqsOf(channel)).toEqual(range(1, 5)));
      await context.fault('restart')();

      await context.eventually(async () => {
        const result = await left.broker.log.read({ channel, epoch, from: 3, limit: 9 });
        expect(result.continuous).toBe(true);
        expect(result.events.map((event) => event.id)).toEqual(['e3', 'e4', 'e5']);
      }, 3 * context.patienceMs);
      const next = await context.append(left, channel, ['new']);
      expect(next.map((position) => position.seq)).toEqual([6]);
      await context.eventually(() => expect(right.seen.seqsOf(channel).at(-1)).toBe(6));
      if (!context.capabilities.dedupes) return;
      const [again] = await left.broker.log.appendMany([context.request(channel, 'e5')]);
      expect(again).toMatchObject({ ok: true, duplicate: true, position: { seq: 5 } });
    });
  }

  if (context.can('loseDeliveries')) {
    it('shows events lost on the way as a gap in `seq` that can be read from the log (G5)', async () => {
      const [left, right] = await context.twoNodes();
      const channel = context.channel();
      await right.broker.log.subscribe(channel);
      await context.append(left, channel, ['a']);
      await context.eventually(() => expect(right.seen.seqsOf(channel)).toEqual([1]));
      await context.fault('loseDeliveries')(right, async () => {
        await context.append(left, channel, ['b', 'c']);
      });
      await context.append(left, channel, ['d']);
      await context.eventually(() => expect(right.seen.seqsOf(channel)).toEqual([1, 4]));
      const { epoch } = await context.tip(right, channel);
      const { events } = await right.broker.log.read({ channel, epoch, from: 2, until: 3, limit: 9 });
      expect(events.map((event) => event.id)).toEqual(['b', 'c']);
    });

    it('shows the loss of the last event on the way in the tip (G5)', async () => {
      const [left, right] = await context.twoNodes();
      const channel = context.channel();
      await right.broker.log.subscribe(channel);
      await context.fault('loseDeliveries')(right, async () => {
        await context.append(left, channel, ['a']);
      });
      await context.harness.quiet();
      expect(right.seen.seqsOf(channel)).toEqual([]);
      expect((await context.tip(right, channel)).seq).toBe(1);
    });
  }
}
