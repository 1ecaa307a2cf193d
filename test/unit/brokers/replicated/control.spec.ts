import { describe, expect, it } from '@jest/globals';
import type { ControlMessage } from '../../../../lib/core/ports/control.js';
import { ReplicatedControl } from '../../../../lib/brokers/replicated/control.js';
import type { Settle } from '../../../../lib/brokers/replicated/partition-writer.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { Deployment, withHeldAnswers } from './kit.js';

const DISCONNECT: ControlMessage = { kind: 'disconnect', user: 'u' };

describe('control records over a log', () => {
  it('one that is acknowledged while the state is made again gets its receipt, and nothing waits for ever (G11)', async () => {
    const world = new Deployment();
    let held: ReturnType<typeof withHeldAnswers> | undefined;
    const { broker, seen } = await world.node({}, (log) => (held = withHeldAnswers(log)).log);
    await world.live(2_000);
    held?.hold();
    const sent = broker.bus.control(DISCONNECT);
    const other = broker.presence.enter(
      { channel: 'rooms.1', member: 'm', device: 'd', generation: 1 },
      60_000,
    );
    await world.pass(10);
    expect(seen.controls).toEqual([DISCONNECT]);
    // Read, and not acknowledged: now this node has to make its state again, and its questions are not answered.
    const end = world.server.partition(0)?.end ?? 0;
    world.server.delay = [100, 100];
    world.server.cut(0, end - 1);
    await world.pass(150);
    expect(seen.states).toEqual(['up', 'down']);
    held?.release();
    await world.pass(10);
    world.server.delay = [0, 0];
    await expect(world.answer(sent)).resolves.toMatchObject({ missing: [] });
    await expect(world.answer(other)).resolves.toBeUndefined();
    await world.answer(broker.close());
    expect(world.clock.pending).toBe(0);
  });

  /** Control of a node whose record is stored when the test says so. */
  function heldControl() {
    const clock = new ManualClock();
    let stored: Settle = () => undefined;
    const control = new ReplicatedControl(
      (_partition, _command, settle) => (stored = settle),
      { clock, controlTimeoutMs: 5_000, controlMaxAgeMs: 10_000 },
      () => undefined,
    );
    const confirm = (node: string, key: string): void =>
      control.onApplied({ kind: 'applied', node, done: [key], refused: [] });
    const receipt = async (offset: number) => {
      const sent = control.send(DISCONNECT, () => ['n1#s']);
      stored({ ok: true }, { offset, index: 0 });
      await clock.advanceAsync(5_000);
      return sent;
    };
    return { confirm, receipt };
  }

  it('keep 65,536 confirmations of records whose place is not known yet; the oldest records are forgotten (G11)', async () => {
    const { confirm, receipt } = heldControl();
    confirm('n1', '5.0');
    confirm('n1', '6.0');
    for (let node = 0; node < 65_534; node += 1) confirm(`x${node}`, '7.0');
    // Whoever confirms once more takes no more room.
    confirm('x0', '7.0');
    expect(await receipt(5)).toEqual({ confirmed: ['n1'], missing: [] });
    // Its room is free again.
    confirm('n1', '8.0');
    confirm('n1', '7.0');
    expect(await receipt(6)).toEqual({ confirmed: [], missing: ['n1'] });
    expect(await receipt(8)).toEqual({ confirmed: ['n1'], missing: [] });
    expect(await receipt(7)).toEqual({ confirmed: ['n1'], missing: [] });
  });

  it('keep no more confirmations of one record than of all (G11)', async () => {
    const { confirm, receipt } = heldControl();
    confirm('n1', '5.0');
    for (let node = 0; node < 65_536; node += 1) confirm(`x${node}`, '5.0');
    confirm('n1', '6.0');
    expect(await receipt(5)).toEqual({ confirmed: [], missing: ['n1'] });
    expect(await receipt(6)).toEqual({ confirmed: ['n1'], missing: [] });
  });
});
