import { describe, expect, it, jest } from '@jest/globals';
import type { Answer } from '../../../../lib/transports/http-session/answer.js';
import { PollCarrier } from '../../../../lib/transports/http-session/poll-carrier.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const heartbeat = { intervalMs: 25_000, timeoutMs: 10_000 };
const ever = (): void => undefined;

/** A session whose first answer, of so many bytes, was handed over. */
async function begun(bytes = 100) {
  const clock = new ManualClock();
  const polls = new PollCarrier({ clock, entropy: { random: () => 1 }, heartbeat });
  const session = {
    onDrain: jest.fn(),
    onGone: jest.fn(),
    onSilent: jest.fn(),
    onLost: jest.fn(),
    onRepeat: jest.fn((_bytes: number, isRefusable: boolean) => (isRefusable ? 30_000 : 0)),
  };
  polls.begin(session);
  const opening = polls.first(ever);
  polls.write(Buffer.alloc(bytes, ' '));
  return { clock, polls, session, first: await opening };
}

const fateOf = ({ fate }: Answer) => fate as NonNullable<typeof fate>;

describe('the answers to polls', () => {
  it('are counted until their socket has passed them on, once', async () => {
    const { polls, first } = await begun();
    expect(polls.bufferedBytes).toBe(100);
    fateOf(first).begin(ever);
    expect(polls.bufferedBytes).toBe(100);
    fateOf(first).end();
    expect(polls.bufferedBytes).toBe(100);
    void polls.poll(1, ever);
    expect(polls.bufferedBytes).toBe(0);
  });

  it('are cut where they are acknowledged unread, and count until the socket is closed', async () => {
    const { polls, session, first } = await begun();
    const cut = jest.fn();
    fateOf(first).begin(cut);
    void polls.poll(1, ever);
    expect(cut).toHaveBeenCalledTimes(1);
    expect([polls.bufferedBytes, session.onDrain.mock.calls.length]).toEqual([100, 0]);
    fateOf(first).end();
    expect([polls.bufferedBytes, session.onDrain.mock.calls.length]).toEqual([0, 1]);
  });

  it('are cut where they are asked for again: one at a time is under way', async () => {
    const { polls, first } = await begun();
    const cut = jest.fn();
    fateOf(first).begin(cut);
    const again = polls.poll(0, ever) as Answer;
    expect(again.body).toEqual(first.body);
    expect(cut).toHaveBeenCalledTimes(1);
    fateOf(again).begin(ever);
    expect(polls.bufferedBytes).toBe(200);
    fateOf(first).end();
    expect(polls.bufferedBytes).toBe(100);
  });

  it('that are written after a newer one took their place are cut at once', async () => {
    const { polls, first } = await begun();
    void polls.poll(0, ever);
    const cut = jest.fn();
    fateOf(first).begin(cut);
    expect(cut).toHaveBeenCalledTimes(1);
  });

  it('are charged whenever they are given again, and refused after the first time to who owes, for whom the session waits', async () => {
    const { clock, polls, session, first } = await begun();
    fateOf(first).end();
    fateOf(polls.poll(0, ever) as Answer).end();
    expect(session.onRepeat).toHaveBeenLastCalledWith(100, false);
    for (let count = 0; count < 2; count++) {
      const refused = polls.poll(0, ever) as Answer;
      expect([refused.status, refused.headers['Retry-After']]).toEqual([429, '30']);
      expect(session.onRepeat).toHaveBeenLastCalledWith(100, true);
    }
    clock.advance(39_999);
    expect(session.onSilent).not.toHaveBeenCalled();
    clock.advance(1);
    expect(session.onSilent).toHaveBeenCalledTimes(1);
  });

  it('may take any time to leave; a poll has to come in time from then on', async () => {
    const { clock, session, first } = await begun();
    fateOf(first).begin(ever);
    clock.advance(1_000_000);
    fateOf(first).end();
    clock.advance(9_999);
    expect(session.onSilent).not.toHaveBeenCalled();
    clock.advance(1);
    expect(session.onSilent).toHaveBeenCalledTimes(1);
  });

  it('that leave by another node are waited for as long as a slow line takes', async () => {
    const { clock, session } = await begun(16 * 1024 * 20);
    clock.advance(29_999);
    expect(session.onSilent).not.toHaveBeenCalled();
    clock.advance(1);
    expect(session.onSilent).toHaveBeenCalledTimes(1);
  });

  it('count after the end of the session too, which is over when the last has left', async () => {
    const { polls, first } = await begun();
    fateOf(first).begin(ever);
    polls.end({ type: 'bye', payload: {}, ts: 0 }, 4_001);
    const onLeft = jest.fn();
    polls.whenLeft(onLeft);
    await new Promise((resolve) => setImmediate(resolve));
    expect([polls.bufferedBytes, onLeft.mock.calls.length]).toEqual([100, 0]);
    fateOf(first).end();
    expect([polls.bufferedBytes, onLeft.mock.calls.length]).toEqual([0, 1]);
  });

  it('are cut with a session that is ended at once', async () => {
    const { polls, first } = await begun();
    const cut = jest.fn();
    fateOf(first).begin(cut);
    polls.destroy();
    expect(cut).toHaveBeenCalledTimes(1);
  });
});
