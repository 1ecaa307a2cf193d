import { beforeEach, describe, expect, it } from '@jest/globals';
import type { FrameVerdict } from '../../../../lib/core/ports/connection.js';
import { ChannelAsker } from '../../../../lib/transports/sse/channel-asker.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const CHANNELS = Array.from({ length: 128 }, (_, index) => `rooms.${index}`);
const microtasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

let clock: ManualClock;
let asker: ChannelAsker;
let sent: string[];
let verdict: FrameVerdict;
/** What the engine does with a subscribe before it returns. */
let onSend: (channel: string) => void;

function start(channels: readonly string[] = CHANNELS, random = 0): void {
  const deps = { clock, random: () => random, retry: { baseMs: 1_000, maxMs: 30_000 } };
  asker = new ChannelAsker(channels, deps, {
    send: (command) => {
      const { channel } = command as { channel: string };
      sent.push(channel);
      onSend(channel);
      return verdict;
    },
    positionOf: () => undefined,
  });
  asker.start();
}

/** What was sent since it was asked for last. */
function taken(): string[] {
  return sent.splice(0);
}

beforeEach(() => {
  clock = new ManualClock();
  sent = [];
  verdict = { outcome: 'accepted' };
  onSend = () => undefined;
});

describe('the subscribes of a plain stream (P20, G16)', () => {
  it('are all sent at once where each is answered at once', () => {
    onSend = (channel) => asker.succeeded(channel);
    start();
    expect(taken()).toEqual(CHANNELS);
  });

  it('wait for the answers of eight, whatever the answer is', async () => {
    start();
    expect(taken()).toEqual(CHANNELS.slice(0, 8));
    asker.succeeded('rooms.0');
    asker.drop('rooms.1');
    asker.failedForNow('rooms.2', {}, false);
    expect(taken()).toEqual([]);
    await microtasks();
    expect(taken()).toEqual(CHANNELS.slice(8, 11));
    // A second answer of one that has one makes no room.
    asker.drop('rooms.1');
    await microtasks();
    expect(taken()).toEqual([]);
  });

  it('are no more than eight beyond the rate, and then wait twice as long each time', async () => {
    start();
    let refused = 0;
    for (const holdMs of [1_000, 2_000, 4_000, 8_000]) {
      const asked = taken();
      expect(asked).toHaveLength(8);
      for (const channel of asked) asker.failedForNow(channel, { retryAfterMs: 10 }, true);
      refused += asked.length;
      await microtasks();
      clock.advance(holdMs - 1);
      expect(taken()).toEqual([]);
      clock.advance(1);
    }
    expect(refused).toBe(32);
  });

  it('wait as long as they are advised, where that is longer', async () => {
    start();
    for (const channel of taken()) asker.failedForNow(channel, { retryAfterMs: 5_000 }, true);
    await microtasks();
    clock.advance(4_999);
    expect(taken()).toEqual([]);
    clock.advance(1);
    expect(taken()).toHaveLength(8);
  });

  it('begin again with the short wait once all are subscribed to', async () => {
    start(['rooms.0']);
    for (const holdMs of [1_000, 2_000]) {
      taken();
      asker.failedForNow('rooms.0', {}, true);
      clock.advance(holdMs);
    }
    expect(taken()).toEqual(['rooms.0']);
    asker.succeeded('rooms.0');
    await microtasks();
    asker.failedForNow('rooms.0', {}, true);
    clock.advance(1_000);
    expect(taken()).toEqual(['rooms.0']);
  });

  it('are sent again after waits that double with each refusal of a channel, up to the longest, and begin again with its answer', async () => {
    start(['rooms.0'], 1);
    const waits = async (waitMs: number): Promise<void> => {
      expect(taken()).toEqual(['rooms.0']);
      asker.failedForNow('rooms.0', {}, false);
      await microtasks();
      clock.advance(waitMs - 1);
      expect(taken()).toEqual([]);
      clock.advance(1);
    };
    for (const waitMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) await waits(waitMs);
    asker.succeeded('rooms.0');
    await waits(1_000);
  });

  it('are held for no longer than the longest wait, however often the rate was exceeded', async () => {
    start(['rooms.0']);
    for (const holdMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      expect(taken()).toEqual(['rooms.0']);
      asker.failedForNow('rooms.0', {}, true);
      await microtasks();
      clock.advance(holdMs - 1);
      expect(taken()).toEqual([]);
      clock.advance(1);
    }
  });

  it('leave out a channel that was dropped while it waited, and say where the client stands in each', async () => {
    const position = { epoch: 'e', seq: 7 };
    const commands: object[] = [];
    const deps = { clock, random: () => 0, retry: { baseMs: 1_000, maxMs: 30_000 } };
    asker = new ChannelAsker(CHANNELS.slice(0, 11), deps, {
      send: (command) => {
        commands.push(command);
        return verdict;
      },
      positionOf: (channel) => (channel === 'rooms.9' ? position : undefined),
    });
    asker.start();
    asker.drop('rooms.8');
    asker.succeeded('rooms.0');
    asker.succeeded('rooms.1');
    await microtasks();
    expect(commands.slice(8)).toEqual([
      { type: 'subscribe', id: 's9', channel: 'rooms.9', payload: { presence: false, position } },
      { type: 'subscribe', id: 's10', channel: 'rooms.10', payload: { presence: false } },
    ]);
  });

  it('stop after the one with which the engine pauses, until it resumes', async () => {
    verdict = { outcome: 'paused' };
    start();
    expect(taken()).toEqual(['rooms.0']);
    asker.succeeded('rooms.0');
    await microtasks();
    expect(taken()).toEqual([]);
    verdict = { outcome: 'accepted' };
    asker.resume();
    expect(taken()).toEqual(CHANNELS.slice(1, 9));
  });

  it('are sent no more after the end', async () => {
    start();
    for (const channel of taken()) asker.failedForNow(channel, {}, true);
    asker.stop();
    await microtasks();
    expect(clock.pending).toBe(0);
    expect(taken()).toEqual([]);
  });
});
