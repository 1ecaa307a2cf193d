import { describe, expect, it } from '@jest/globals';
import { watchHeartbeat, type HeartbeatWatch } from '../../../../lib/client/connection/heartbeat-watch.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

function start(heartbeat = { intervalMs: 25_000, timeoutMs: 10_000 }) {
  const clock = new ManualClock();
  const pings: string[] = [];
  const deaths: boolean[] = [];
  const watch: HeartbeatWatch = watchHeartbeat(clock, heartbeat, {
    ping: () => {
      pings.push(`ping-${pings.length + 1}`);
      return pings.at(-1) ?? '';
    },
    dead: (doubted) => {
      watch.stop();
      deaths.push(doubted);
    },
  });
  return { clock, watch, pings, deaths };
}

describe('the watch over a connection', () => {
  it('notices that time jumped, also less than the server’s interval, and asks at once (P9a)', () => {
    const { clock, pings, deaths } = start();
    clock.advance(5_000);
    clock.sleep(8_000);
    clock.advance(0);
    expect(pings).toHaveLength(1);
    clock.advance(1_999);
    expect(deaths).toEqual([]);
    clock.advance(1);
    expect(deaths).toEqual([true]);
    expect(clock.pending).toBe(0);
  });

  it('does not take what was read right after a sleep for a sign of life, as it may have come before', () => {
    const { clock, watch, deaths } = start();
    clock.sleep(60_000);
    clock.advance(0);
    watch.heard();
    clock.advance(900);
    watch.heard();
    clock.advance(1_100);
    expect(deaths).toEqual([true]);
  });

  it('takes a later frame for one: the pong waits behind a replay', () => {
    const { clock, watch, deaths, pings } = start();
    clock.sleep(60_000);
    clock.advance(0);
    clock.advance(1_001);
    watch.heard();
    clock.advance(20_000);
    expect(deaths).toEqual([]);
    expect(pings).toHaveLength(1);
  });

  it('asks when frames were read just before its late timer, which may have come before the sleep', () => {
    const { clock, watch, pings } = start();
    clock.sleep(60_000);
    watch.heard();
    clock.advance(0);
    expect(pings).toHaveLength(1);
  });

  it('does not ask while a hidden page holds back its timers but reads its frames', () => {
    const { clock, watch, pings, deaths } = start();
    for (let minute = 0; minute < 5; minute++) {
      clock.sleep(30_000);
      watch.heard();
      clock.sleep(30_000);
      clock.advance(0);
    }
    expect([pings, deaths]).toEqual([[], []]);
  });

  it('gives another chance when it was held back again, but not for ever', () => {
    const { clock, watch, deaths } = start();
    watch.check();
    clock.sleep(4_000);
    clock.advance(0);
    clock.sleep(4_000);
    clock.advance(0);
    expect(deaths).toEqual([]);
    clock.sleep(40_000);
    clock.advance(0);
    expect(deaths).toEqual([true]);
  });

  it('whose timer fired a little early looks again when it is due', () => {
    const { clock, watch, deaths } = start();
    let early = 0.4;
    const { monotonic } = clock;
    clock.monotonic = () => monotonic.call(clock) - early;
    early = 0;
    watch.check();
    early = 0.4;
    clock.advance(2_000);
    expect(deaths).toEqual([]);
    clock.advance(1);
    expect(deaths).toEqual([true]);
  });

  it('ignores the answer to another ping, and measures the answer to its own', () => {
    const { clock, watch, pings, deaths } = start();
    watch.check();
    clock.advance(40);
    expect(watch.answered('another')).toBeUndefined();
    expect(watch.answered(undefined)).toBeUndefined();
    expect(watch.answered(pings[0])).toBe(40);
    watch.check();
    clock.advance(7);
    expect(watch.answered(pings[0])).toBeUndefined();
    expect(watch.answered(pings[1])).toBe(7);
    clock.advance(34_000);
    expect(deaths).toEqual([]);
  });

  it.each([1_000, 2_000, 35_000])('ends silence of %i ms exactly then, without doubt (P9)', (silenceMs) => {
    const { clock, pings, deaths } = start({ intervalMs: silenceMs - 400, timeoutMs: 400 });
    clock.advance(silenceMs - 1);
    expect(deaths).toEqual([]);
    clock.advance(1);
    expect([deaths, pings]).toEqual([[false], []]);
  });
});
