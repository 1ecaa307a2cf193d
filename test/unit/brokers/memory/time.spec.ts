import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import { RecordingListener } from '../../../../lib/brokers/contract/recording-listener.js';
import { append, kit, type Kit } from './kit.js';

const HOUR_MS = 3_600_000;
const entry = { channel: 'a', member: 'ada', device: 'd', generation: 1 };

// Steps of the wall clock, as an operator, NTP or a suspended machine makes them; no time passes.
describe.each([-HOUR_MS, 60_000, 301_000, HOUR_MS])(
  'the memory broker when the wall clock steps by %i ms',
  (step) => {
    let made: Kit | undefined;
    const open = async () => {
      made = await kit();
      // What begins may begin at any distance between the two clocks.
      made.clock.jump(step);
      return made;
    };
    afterEach(async () => {
      await made?.broker.close();
      expect(made?.clock.pending ?? 0).toBe(0);
    });

    it('no member leaves, and each leaves when its lease has ended (G19, G28)', async () => {
      const { broker, clock, seen } = await open();
      await broker.log.subscribe('a');
      await broker.presence.enter(entry, 30_000);
      clock.jump(step);
      clock.advance(29_999);
      await broker.presence.renew([entry], 10);
      expect(seen.diffsOf('a').map(({ leave }) => leave)).toEqual([[]]);
      clock.jump(step);
      clock.advance(9);
      expect((await broker.presence.members('a', { limit: 9 })).count).toBe(1);
      clock.advance(1);
      expect((await broker.presence.members('a', { limit: 9 })).count).toBe(0);
    });

    it('a grace ends in its time (G19)', async () => {
      const { broker, clock } = await open();
      await broker.presence.enter(entry, 60_000);
      await broker.presence.leave(entry, 5_000);
      clock.jump(step);
      clock.advance(4_999);
      expect((await broker.presence.members('a', { limit: 9 })).count).toBe(1);
      clock.advance(1);
      expect((await broker.presence.members('a', { limit: 9 })).count).toBe(0);
    });

    it('an id is recognized to the end of its window, and no longer (G4, G28)', async () => {
      const { broker, clock } = await open();
      const [first] = await broker.log.appendMany([append('a', 'x')]);
      clock.jump(step);
      clock.advance(9_999);
      expect((await broker.log.appendMany([append('a', 'x')]))[0]).toEqual({ ...first, duplicate: true });
      clock.jump(step);
      clock.advance(1);
      expect((await broker.log.appendMany([append('a', 'x')]))[0]).toMatchObject({ duplicate: false });
    });

    it('an event is kept for its time, and carries the wall clock of its append', async () => {
      const { broker, clock } = await open();
      await broker.log.appendMany([append('a', 'x')]);
      clock.jump(step);
      clock.advance(1);
      await broker.log.appendMany([append('a', 'y')]);
      const at = clock.now();
      clock.advance(59_998);
      const kept = async () => (await broker.log.read({ channel: 'a', from: 1, limit: 9 })).events;
      expect((await kept()).map(({ seq }) => seq)).toEqual([1, 2]);
      expect((await kept()).at(-1)?.ts).toBe(at);
      clock.advance(1);
      expect((await kept()).map(({ seq }) => seq)).toEqual([2]);
      clock.advance(1);
      expect(await kept()).toEqual([]);
    });

    it('a head ends in its time, and nothing is kept for ever (P10)', async () => {
      const { broker, clock, store } = await open();
      await broker.log.appendMany([append('a', 'x')]);
      clock.jump(step);
      clock.advance(30 * 24 * HOUR_MS - 1);
      expect(store.stats.channels).toBe(1);
      clock.advance(1);
      expect(store.stats).toMatchObject({ channels: 0, bytes: 0 });
    });

    it('a ban is handed to a node that starts with what is left of it, and not after its end (G16, G28)', async () => {
      const { broker, clock, store } = await open();
      await broker.bus.control({ kind: 'ban', user: 'ada', forMs: 10_000 });
      clock.jump(step);
      clock.advance(4_000);
      const bans = async () => {
        const late = new RecordingListener();
        const node = memoryBroker({ store });
        await node.start(late);
        await node.close();
        return late.controls;
      };
      expect(await bans()).toEqual([{ kind: 'ban', user: 'ada', forMs: 6_000 }]);
      clock.advance(5_999);
      expect(await bans()).toHaveLength(1);
      clock.advance(1);
      expect(await bans()).toEqual([]);
    });
  },
);
