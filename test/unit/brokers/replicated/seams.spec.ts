import { describe, expect, it } from '@jest/globals';
import type { Command } from '../../../../lib/brokers/machine/commands.js';
import { encodeCommand, encodeRecord } from '../../../../lib/brokers/replicated/record-codec.js';
import { request } from '../../../support/engine/append-requests.js';
import { Deployment, type TestNode } from './kit.js';

const CHANNEL = 'rooms.1';
const HOUR_MS = 3_600_000;
const ENTRY = { channel: CHANNEL, member: 'm', device: 'd', generation: 1 };

const publish = async (world: Deployment, { broker }: TestNode, id: string): Promise<unknown> => {
  const [outcome] = await world.answer(broker.log.appendMany([request(CHANNEL, id)]));
  return outcome;
};
const readBy = ({ broker }: TestNode) => broker.log.read({ channel: CHANNEL, from: 1, limit: 1_000 });

describe('a clock of the log that jumps', () => {
  it.each([
    ['ahead', [HOUR_MS]],
    ['back', [-HOUR_MS]],
    ['ahead and back and ahead again', [HOUR_MS, -2 * HOUR_MS, HOUR_MS]],
  ])(
    '%s: no number is lost or given twice, all nodes agree, and members are there (G2, G3, G19)',
    async (_, jumps) => {
      const world = new Deployment();
      const nodes = [await world.node({ checkpointEvery: 5 }), await world.node({ checkpointEvery: 5 })];
      const [one, two] = nodes as [TestNode, TestNode];
      await world.answer(one.broker.presence.enter(ENTRY, 60_000));
      let count = 0;
      for (const jump of [0, ...jumps]) {
        world.server.jumpClock(jump);
        for (const node of nodes) {
          await publish(world, node, `e${(count += 1)}`);
          await world.live(3_000, 1_000);
        }
      }
      // One that starts now begins from a checkpoint of a time before the jump, or behind it.
      const late = await world.node();
      const reads = [];
      for (const node of [one, two, late]) reads.push(await world.answer(readBy(node)));
      const ids = Array.from({ length: count }, (_, index) => `e${index + 1}`);
      for (const read of reads) {
        expect(read.events.map(({ id, seq }) => [id, seq])).toEqual(ids.map((id, index) => [id, index + 1]));
        expect(read.tip).toEqual(reads[0]?.tip);
      }
      for (const { broker, seen } of [one, two, late]) {
        const { members } = await world.answer(broker.presence.members(CHANNEL, { limit: 10 }));
        expect(members.map(({ id }) => id)).toEqual(['m']);
        expect(seen.states).toEqual(['up']);
      }
      const receipt = await world.answer(two.broker.bus.control({ kind: 'disconnect', user: 'u' }));
      expect(receipt.missing).toEqual([]);
      for (const { broker } of [one, two, late]) await world.answer(broker.close());
    },
  );
});

describe('a version of the semantics that other nodes bring', () => {
  /** What a node of a later release writes into the partition of the state. */
  class LaterNode {
    private n = 0;

    constructor(private readonly world: Deployment) {}

    async write(...commands: readonly Command[]): Promise<void> {
      const { server } = this.world;
      const incarnation = server.partition(0)?.incarnation ?? '';
      const bytes = encodeRecord(
        { writer: 'later', n: (this.n += 1), incarnation },
        commands.map(encodeCommand),
      );
      const client = server.open();
      await this.world.answer(client.append(0, bytes, client.session));
      await client.close();
    }

    beat(): Promise<void> {
      return this.write({ kind: 'heartbeat', node: 'later#1', leaseMs: 15_000, versions: [1, 2] });
    }

    activate(): Promise<void> {
      return this.write({ kind: 'activate', version: 2 });
    }
  }

  it('changes nothing while a node lives that cannot run it', async () => {
    const world = new Deployment();
    const node = await world.node();
    const later = new LaterNode(world);
    await later.beat();
    await later.activate();
    await world.live(2_000);
    expect(await publish(world, node, 'e1')).toMatchObject({ ok: true, position: { seq: 1 } });
    expect(node.seen.states).toEqual(['up']);
    await world.answer(node.broker.close());
  });

  it('stops a node that was cut off for longer than its lease, with the remedy; it answers nothing by old rules', async () => {
    const world = new Deployment();
    const node = await world.node();
    const later = new LaterNode(world);
    await later.beat();
    node.log.disconnect();
    for (let beats = 0; beats < 20; beats += 1) {
      await world.live(1_000);
      await later.beat();
    }
    await later.activate();
    node.log.reconnect();
    await world.live(3_000);
    expect(node.seen.states.at(-1)).toBe('down');
    expect(node.reasons.at(-1)).toBe('the log has a version that this release cannot run: update this node');
    await expect(node.broker.presence.members(CHANNEL, { limit: 1 })).rejects.toMatchObject({
      code: 'unavailable',
    });
    await world.answer(node.broker.close());
  });

  it('keeps a node from starting that cannot run it, with the remedy', async () => {
    const world = new Deployment();
    const node = await world.node();
    await world.answer(node.broker.close());
    await new LaterNode(world).activate();
    await expect(world.node()).rejects.toThrow(/update this node/);
  });
});

describe('appends', () => {
  it('that time out and land later stand once in the log, where they were acknowledged, and are not given a second place (G1, P15)', async () => {
    const world = new Deployment();
    const [one, two] = [await world.node(), await world.node()];
    const outcomes: unknown[] = [];
    for (let round = 0; round < 30; round += 1) {
      const fates = ['late', 'doubled', 'unanswered', 'lost', 'stored'] as const;
      world.server.nextAppends(fates[round % fates.length] ?? 'stored');
      outcomes.push(await publish(world, round % 2 === 0 ? one : two, `e${round}`));
    }
    world.server.storeLate();
    await world.live(2_000);
    const [first, second] = [await world.answer(readBy(one)), await world.answer(readBy(two))];
    expect(second).toEqual(first);
    expect(first.events.map(({ seq, id }) => [seq, id])).toEqual(
      Array.from({ length: 30 }, (_, index) => [index + 1, `e${index}`]),
    );
    const acknowledged = outcomes.map((outcome) => (outcome as { position?: { seq: number } }).position?.seq);
    expect(acknowledged).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
    for (const { broker } of [one, two]) await world.answer(broker.close());
  });

  it('that the log refused and took when they were sent again stand in it once', async () => {
    const world = new Deployment();
    const node = await world.node();
    world.server.nextAppends('refused', 'refused');
    expect(await publish(world, node, 'e1')).toMatchObject({ ok: true, position: { seq: 1 } });
    expect((await world.answer(readBy(node))).tip.seq).toBe(1);
    await world.answer(node.broker.close());
  });
});

describe('a log that is missing for a while', () => {
  it.each([0, 5])(
    'and is the same when it is there again takes what is written, under the same epoch; checkpoints each %i records (G6)',
    async (checkpointEvery) => {
      const world = new Deployment();
      const options = checkpointEvery === 0 ? {} : { checkpointEvery };
      const [one, two] = [await world.node(options), await world.node(options)];
      for (let count = 1; count <= 8; count += 1) await publish(world, one, `e${count}`);
      await world.live(3_000);
      for (let round = 0; round < 2; round += 1) {
        const remember = world.server.forget();
        const waits = one.broker.log.appendMany([request(CHANNEL, `w${round}`)]);
        await world.live(2_000);
        expect(one.seen.states.at(-1)).toBe('down');
        remember();
        await world.answer(waits);
        await world.live(8_000);
      }
      expect(one.seen.states).toEqual(['up', 'down', 'up', 'down', 'up']);
      const [first] = (await world.answer(readBy(one))).events;
      expect(await publish(world, two, 'last')).toMatchObject({
        ok: true,
        position: { epoch: first?.epoch },
      });
      expect(await publish(world, one, 'very last')).toMatchObject({ ok: true });
      expect(await world.answer(readBy(two))).toEqual(await world.answer(readBy(one)));
      const receipt = await world.answer(one.broker.bus.control({ kind: 'disconnect', user: 'u' }));
      expect(receipt.missing).toEqual([]);
      for (const { broker } of [one, two]) await world.answer(broker.close());
    },
  );
});
