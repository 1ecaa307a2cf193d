import { expect, it } from '@jest/globals';
import { PollCarrier } from '../../../../lib/transports/http-session/poll-carrier.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

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
  expect(carrier.mayHold(Array.from({ length: 17 }, (_, index) => 100 + index))).toBe(true);
  carrier.destroy();
  expect(carrier.mayHold([7, 8])).toBe(false);
});
