import { describe, expect, it } from '@jest/globals';
import { BlockedOutboxes } from '../../../../lib/core/outbox/blocked-outboxes.js';
import { ClientBytes } from '../../../../lib/core/outbox/client-bytes.js';
import { Outbox, type OutboxShared } from '../../../../lib/core/outbox/outbox.js';
import { OutboxBudget } from '../../../../lib/core/outbox/outbox-budget.js';
import { OutboxQueue } from '../../../../lib/core/outbox/queue.js';
import { Traffic } from '../../../../lib/core/outbox/traffic.js';
import type { Connection } from '../../../../lib/core/ports/connection.js';
import { jsonCodec } from '../../../../lib/protocol/codecs/json.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

describe('bytes of a client over its connections', () => {
  it('are kept for whom something is counted, and for nobody else', () => {
    const bytes = new ClientBytes();
    bytes.change('ada', 5);
    bytes.change('ada', 2);
    bytes.change('bob', 1);
    expect([bytes.of('ada'), bytes.of('bob'), bytes.of('eve'), bytes.size]).toEqual([7, 1, 0, 2]);
    bytes.change('ada', -7);
    bytes.change('bob', 0);
    expect([bytes.of('ada'), bytes.size]).toEqual([0, 1]);
  });

  it('are counted once it is known whose they are, and while the socket holds back, or they are more than a share', () => {
    const session = { client: 'ada', isLive: false, isClosed: false, close: () => undefined };
    let takes = false;
    let buffered = 0;
    const connection = {
      handshake: {},
      variant: { codec: jsonCodec, frame: (envelopes: readonly Buffer[]) => Buffer.concat(envelopes) },
      write: (frame: Buffer) => {
        if (!takes) buffered += frame.length;
        return takes;
      },
      get bufferedBytes() {
        return buffered;
      },
    } as unknown as Connection;
    const limits = { maxBytes: 1e6, maxMessages: 1e3, maxBytesPerUser: 1e6, maxBytesPerNode: 1e9 };
    const scheduler = { session: () => undefined };
    const budget = new OutboxBudget({ limits, scheduler, journal: { warn: () => undefined } });
    const queued = new ClientBytes();
    const shared = {
      limits,
      budget,
      queued,
      nothing: new OutboxQueue(budget),
      traffic: new Traffic(),
      blocked: new BlockedOutboxes(budget),
      clock: new ManualClock(),
      scheduler,
      wheel: { stamp: 0 },
    };
    const outbox = new Outbox(connection, session, shared as unknown as OutboxShared);
    const push = (bytes: number) => outbox.pushAnswer(Buffer.alloc(bytes), 'r', undefined);
    push(100);
    outbox.flush();
    expect([outbox.isBlocked, outbox.bufferedBytes, queued.size]).toEqual([true, 100, 0]);
    session.isLive = true;
    push(50);
    expect(queued.of('ada')).toBe(150);
    [takes, buffered] = [true, 0];
    outbox.onDrain();
    expect(queued.size).toBe(0);
    // It leaves at the end of the turn.
    push(64 * 1_024);
    expect(queued.size).toBe(0);
    push(1);
    expect(queued.of('ada')).toBe(64 * 1_024 + 1);
    outbox.flush();
    expect(queued.size).toBe(0);
    expect(shared.nothing.length).toBe(0);
  });
});
