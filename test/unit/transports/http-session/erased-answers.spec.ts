import { expect, it } from '@jest/globals';
import { mayHoldErased } from '../../../../lib/transports/http-session/erased-frames.js';
import { PollCarrier } from '../../../../lib/transports/http-session/poll-carrier.js';
import { SessionTable } from '../../../../lib/transports/http-session/session-table.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

const places = (count: number): number[] => Array.from({ length: count }, (_, index) => 100 + index);
const frame = (seq: number): Buffer => Buffer.from(`{"type":"event","seq":${seq},"epoch":"e"},`);

it('an answer that is kept for a poll, or waits for one, holds the events that are in it, and no others (P31d, G29)', async () => {
  const heartbeat = { intervalMs: 1_000, timeoutMs: 1_000 };
  const carrier = new PollCarrier({ clock: new ManualClock(), entropy: { random: () => 1 }, heartbeat });
  expect(carrier.mayHold([7])).toBe(false);
  const first = carrier.first(() => undefined);
  carrier.write(frame(7));
  await settle();
  await first;
  expect(carrier.mayHold([7])).toBe(true);
  expect(carrier.mayHold([70, 8])).toBe(false);
  carrier.write(frame(80));
  expect(carrier.mayHold([70, 8])).toBe(false);
  carrier.write(frame(8));
  expect(carrier.mayHold([70, 8])).toBe(true);
  // Too many to look for.
  expect(carrier.mayHold(places(17))).toBe(true);
  carrier.destroy();
  expect(carrier.mayHold([7, 8])).toBe(false);
});

it('an answer with a state of the application may hold any event, and one of a session that has ended is found too (G29)', () => {
  const state = [Buffer.from('['), Buffer.from('{"type":"reply","payload":{"snapshot":1}}]')];
  expect(mayHoldErased(state, [7])).toBe(true);
  expect(mayHoldErased([frame(70), frame(8)], [7, 80])).toBe(false);
  expect(mayHoldErased([], places(17))).toBe(false);
  expect(mayHoldErased([frame(70)], places(16))).toBe(false);
  const clock = new ManualClock();
  const table = new SessionTable(clock, 1_000);
  const end = { code: 4005, retryAfterMs: 0 };
  for (const seq of [7, 8]) {
    const session = { id: `s${seq}` };
    table.add(session);
    table.end(session, end);
    table.keep(session.id, { acknowledged: 1, body: [frame(seq)], origin: undefined });
  }
  table.erase([7]);
  expect(table.takeLast('s7', 1, undefined)).toBeUndefined();
  expect(table.endOf('s7')).toMatchObject(end);
  expect(table.takeLast('s8', 1, undefined)).toMatchObject({ acknowledged: 1 });
  table.close();
});
