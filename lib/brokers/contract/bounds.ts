import { ids, range, type ContractContext } from './context.js';

/** More publishes than any crowded node has room for. */
const MANY = 5_000;

/** Bounds that no client and no channel can pass. */
export function boundsContract(context: ContractContext): void {
  const { it, expect } = context;

  if (context.keeps('historyBytes')) {
    it('keeps the newest events that fit in `maxBytes`, and reports the rest as trimmed (P11)', async () => {
      const [left, right] = await context.twoNodes();
      const channel = context.channel();
      // Each of a call of its own: a broker that stores calls as one record may keep whole records only.
      for (const id of ids('e', 6)) {
        await left.broker.log.appendMany([
          context.request(channel, id, {
            payload: 'x'.repeat(1_000),
            bytes: 1_100,
            policy: { maxBytes: 3_500 },
          }),
        ]);
      }
      const page = await right.broker.log.read({ channel, from: 1, limit: 100 });
      expect(page).toMatchObject({ continuous: true, oldest: 4, tip: { seq: 6 } });
      expect(page.events.map(({ seq }) => seq)).toEqual([4, 5, 6]);
    });

    it('numbers and pushes an event larger than `maxBytes`, and keeps neither it nor what came before it (P27)', async () => {
      const [left, right] = await context.twoNodes();
      const channel = context.channel();
      await right.broker.log.subscribe(channel);
      for (const [id, bytes] of [
        ['small', 100],
        ['large', 3_000],
      ] as const) {
        await left.broker.log.appendMany([
          context.request(channel, id, { payload: 'x'.repeat(bytes), bytes, policy: { maxBytes: 2_000 } }),
        ]);
      }
      await context.eventually(() => expect(right.seen.seqsOf(channel)).toEqual([1, 2]));
      expect(await right.broker.log.read({ channel, from: 1, limit: 9 })).toMatchObject({
        continuous: true,
        oldest: 3,
        tip: { seq: 2 },
        events: [],
      });
      await left.broker.log.appendMany([context.request(channel, 'next', { policy: { maxBytes: 2_000 } })]);
      expect((await context.log(right, channel)).map(({ seq }) => seq)).toEqual([3]);
    });

    it('applies a smaller `maxBytes` from the next append (P10)', async () => {
      const node = await context.node();
      const channel = context.channel();
      const append = (id: string, maxBytes: number) =>
        node.broker.log.appendMany([context.request(channel, id, { bytes: 500, policy: { maxBytes } })]);
      for (const id of ids('e', 5)) await append(id, 100_000);
      expect((await context.log(node, channel)).map(({ seq }) => seq)).toEqual(range(1, 5));
      await append('next', 1_200);
      expect((await context.log(node, channel)).map(({ seq }) => seq)).toEqual([5, 6]);
    });
  }

  if (context.keeps('idsOfProducer')) {
    it('refuses a producer with `rate_limited` before it has spent the memory for ids, and no other (G4, G14)', async () => {
      const node = await context.crowdedNode();
      const channel = context.channel();
      const publish = async (producer: string, id: string) =>
        (await node.broker.log.appendMany([context.request(channel, id, { producer })]))[0];
      let taken = 0;
      let refused = await publish('u:greedy', 'e0');
      while (refused?.ok === true && taken < MANY) {
        taken += 1;
        refused = await publish('u:greedy', `e${taken}`);
      }
      expect(refused).toMatchObject({ ok: false, code: 'rate_limited' });
      expect(refused?.ok === false ? (refused.retryAfterMs ?? 0) : 0).toBeGreaterThan(0);
      // Others go on, and what was remembered stays so.
      for (const name of ids('u:', 5)) expect(await publish(name, 'own')).toMatchObject({ ok: true });
      expect(await publish('u:greedy', 'e0')).toMatchObject({ ok: true, duplicate: true });
      expect((await context.log(node, channel)).length).toBeGreaterThan(5);
    });
  }
}
