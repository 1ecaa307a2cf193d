import { describe, expect, it } from '@jest/globals';
import { WriteCoalescer } from '../../../../lib/core/outbox/flush-scheduler.js';

/** One flush of `channels` channels in which `frames` frames go out, `merged` of them to a session that has one already. */
function flush(staging: WriteCoalescer, { channels = 10, frames = 100, merged = 0 } = {}): boolean {
  staging.begin(channels);
  const { active } = staging;
  for (let index = 0; active && index < frames; index++) staging.note(index < merged);
  staging.end();
  return active;
}

describe('coalescing writes', () => {
  it('coalescing is used only for turns of several channels', () => {
    expect(flush(new WriteCoalescer(), { channels: 1 })).toBe(false);
    expect(flush(new WriteCoalescer(), { channels: 2 })).toBe(true);
  });

  it('coalescing continues while writes are merged', () => {
    const staging = new WriteCoalescer();
    expect(Array.from({ length: 40 }, () => flush(staging, { merged: 20 }))).not.toContain(false);
  });

  it('coalescing stops where sessions have one channel each, and is tried again', () => {
    const staging = new WriteCoalescer();
    const tried = Array.from({ length: 35 }, () => flush(staging));
    expect(tried.flatMap((active, index) => (active ? [index] : []))).toEqual([0, 17, 34]);
  });

  it('coalescing is not stopped after a few frames', () => {
    const staging = new WriteCoalescer();
    expect(Array.from({ length: 10 }, () => flush(staging, { frames: 10 }))).not.toContain(false);
  });
});
