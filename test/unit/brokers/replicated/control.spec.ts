import { describe, expect, it } from '@jest/globals';
import type { ControlMessage } from '../../../../lib/core/ports/control.js';
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
});
