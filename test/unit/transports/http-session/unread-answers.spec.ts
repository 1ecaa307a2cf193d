import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { UnreadAnswers } from '../../../../lib/transports/http-session/unread-answers.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

class FakeResponse extends EventEmitter {
  writableLength = 100;
  /** Not given to it yet. */
  waiting = 0;
  isCut = false;
  readonly req = { socket: { destroy: () => (this.isCut = true) && this.emit('close') } };

  get asResponse(): ServerResponse {
    return this as unknown as ServerResponse;
  }
}

function watched(count: number) {
  const clock = new ManualClock();
  const unread = new UnreadAnswers(clock, 1_000);
  const answers = Array.from({ length: count }, () => new FakeResponse());
  for (const answer of answers) unread.watch(answer.asResponse, () => answer.waiting);
  return { clock, unread, answers };
}

describe('answers that are on their way', () => {
  it('are cut when nothing of them is read for an interval', () => {
    const { clock, answers } = watched(2);
    const [reads, deaf] = answers as [FakeResponse, FakeResponse];
    for (let look = 0; look < 5; look++) {
      expect(deaf.isCut).toBe(look > 1);
      clock.advance(1_000);
      reads.writableLength -= 10;
    }
    expect(reads.isCut).toBe(false);
    clock.advance(1_000);
    expect(reads.isCut).toBe(false);
    clock.advance(1_000);
    expect(reads.isCut).toBe(true);
  });

  it('are not cut while less of them waits to be given to the socket, which is as full as before', () => {
    const { clock, answers } = watched(1);
    const [slow] = answers as [FakeResponse];
    slow.waiting = 500;
    for (let look = 0; look < 5; look++) {
      clock.advance(1_000);
      slow.waiting -= 100;
    }
    expect(slow.isCut).toBe(false);
    clock.advance(2_000);
    expect(slow.isCut).toBe(true);
  });

  it('are forgotten when they were read, and nothing is watched any more', () => {
    const { clock, unread, answers } = watched(3);
    for (const answer of answers) answer.emit('close');
    clock.advance(1_000);
    expect(clock.pending).toBe(0);
    const late = new FakeResponse();
    unread.watch(late.asResponse, () => 0);
    clock.advance(2_000);
    expect(late.isCut).toBe(true);
  });
});
