import { describe, expect, it } from '@jest/globals';
import { RefusalCounts } from '../../../lib/admin/refusal-counts.js';
import type { AbuseAct, ObservedCommand } from '../../../lib/core/ports/observer.js';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import type { ObservedSpam } from '../../../lib/core/ports/spam.js';
import { CLOSE_CODES } from '../../../lib/protocol/close-codes.js';

const connection = {} as RealtimeConnection;
const command = { type: 'publish', id: 'm1' } as ObservedCommand;

describe('counts of what a node refused', () => {
  it('has nothing where nothing was refused', () => {
    const fresh = new RefusalCounts();
    fresh.observer.onCommandEnd?.(connection, command, 'ok', 1);
    fresh.observer.onCommandEnd?.(connection, command, 'closed', 1);
    fresh.observer.onConnectionClose?.(connection, CLOSE_CODES.normal.code, 'node');
    fresh.observer.onConnectionClose?.(connection, 1006, 'node');
    fresh.observer.onAct?.({ kind: 'disconnect', user: 'ada' }, undefined, undefined, 0);
    expect(fresh.read()).toEqual({});
  });

  it('counts each by its kind, in the order of the names', () => {
    const counts = new RefusalCounts();
    const { observer } = counts;
    for (let n = 0; n < 2; n++) observer.onRefusal?.('upgrade', 'rate_limited', '192.0.2.1');
    observer.onRefusal?.('hello', 'banned', '192.0.2.1');
    observer.onCommandEnd?.(connection, { ...command, type: 'hello' }, 'banned', 1);
    observer.onRefusal?.('request', 413, '192.0.2.1');
    observer.onCommandEnd?.(connection, command, 'too_many_channels', 1);
    for (let n = 0; n < 3; n++) observer.onRateLimit?.(connection);
    observer.onSpam?.({} as ObservedSpam);
    observer.onConnectionClose?.(connection, CLOSE_CODES.slow_consumer.code, 'node');
    observer.onConnectionClose?.(connection, CLOSE_CODES.rate_abuse.code, 'node');
    observer.onGap?.('rooms.:room', 'overflow', 7, 'drop-oldest');
    observer.onGap?.('rooms.:room', 'overflow', 3, 'drop-oldest');
    for (const kind of ['throttle', 'close'] as const)
      observer.onAct?.({ kind, connection, banMs: 0 } satisfies AbuseAct, undefined, undefined, 0);
    expect(Object.entries(counts.read())).toEqual([
      ['abuse.close', 1],
      ['abuse.throttle', 1],
      ['close.rate_abuse', 1],
      ['close.slow_consumer', 1],
      ['command.too_many_channels', 1],
      ['gap.overflow', 10],
      ['hello.banned', 1],
      ['rate', 3],
      ['request.413', 1],
      ['spam', 1],
      ['upgrade.rate_limited', 2],
    ]);
  });

  it('counts the kinds beyond 128 as one', () => {
    const counts = new RefusalCounts();
    for (let n = 0; n < 130; n++) counts.observer.onRefusal?.('request', n as 413, '192.0.2.1');
    counts.observer.onRefusal?.('request', 0 as 413, '192.0.2.1');
    const read = counts.read();
    expect(Object.keys(read)).toHaveLength(129);
    expect([read['others'], read['request.0'], read['request.127'], read['request.128']]).toEqual([
      2,
      2,
      1,
      undefined,
    ]);
  });
});
