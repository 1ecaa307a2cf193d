import { EventEmitter } from 'node:events';
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { Reconnector } from '../../../../../lib/brokers/redis/connection/liveness.js';
import { redisSettings } from '../../../../../lib/brokers/redis/settings.js';
import { ManualClock } from '../../../../support/engine/manual-clock.js';

const HEARTBEAT_MS = 1_000;

describe('a connection that does not become ready', () => {
  let clock: ManualClock;
  let client: EventEmitter & { status: string; stream: { bytesRead: number } };
  let reconnector: Reconnector;
  beforeEach(() => {
    clock = new ManualClock();
    client = Object.assign(new EventEmitter(), { status: 'connect', stream: { bytesRead: 0 } });
    reconnector = new Reconnector(
      client as unknown as Redis,
      redisSettings({ clock, heartbeatMs: HEARTBEAT_MS }),
    );
    client.emit('connect');
  });

  /** What each look says, a tenth of a heartbeat after the one before. */
  const looks = (count: number): readonly boolean[] =>
    Array.from({ length: count }, () => {
      const loads = reconnector.looksLoading();
      clock.advance(HEARTBEAT_MS / 10);
      return loads;
    });

  it('leads to a server that loads its data where that answers for half a heartbeat (G20)', () => {
    client.stream.bytesRead = 1;
    expect(looks(7)).toEqual([false, false, false, false, false, true, true]);
  });

  it('leads to one that hangs where nothing comes, however long (G20)', () => {
    expect(looks(100)).not.toContain(true);
    // From the first answer on.
    client.stream.bytesRead = 1;
    expect(looks(6)).toEqual([false, false, false, false, false, true]);
  });

  it('is looked at from its own beginning: the one before does not count, nor one that is ready (G20)', () => {
    client.stream.bytesRead = 1;
    expect(looks(6)).toContain(true);
    client.emit('connect');
    expect(looks(5)).not.toContain(true);
    client.status = 'ready';
    expect(looks(5)).not.toContain(true);
  });
});
