import { describe, expect, it } from '@jest/globals';
import { AppendQueue } from '../../../../lib/core/log/append-queue.js';
import type { AppendOutcome, BrokerLog } from '../../../../lib/core/ports/broker.js';
import { errorBody } from '../../../../lib/protocol/error-body.js';
import type { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { ENGINE_DEFAULTS } from '../../../../lib/core/ports/settings-defaults.js';
import { request } from '../../../support/engine/append-requests.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

function queueOf(outcomes: readonly AppendOutcome[]): AppendQueue {
  const log = { appendMany: async () => outcomes } as Pick<BrokerLog, 'appendMany'> as BrokerLog;
  return new AppendQueue(
    {
      log,
      clock: new ManualClock(),
      entropy: new SeededEntropy(),
      observer: {},
      settings: { ...ENGINE_DEFAULTS, nodeId: 'node', ticketSecret: 'x'.repeat(32) },
    },
    { afterwards: queueMicrotask },
  );
}

const fail = (outcome: AppendOutcome | undefined) =>
  queueOf(outcome === undefined ? [] : [outcome])
    .append(request('a', 'x'), 'a')
    .catch((error: unknown) => error);

describe('an append that the broker refuses', () => {
  it('carries the time to wait and the words of the broker (P15)', async () => {
    expect(
      await fail({ ok: false, code: 'rate_limited', retryAfterMs: 1_500, message: 'Wait a little' }),
    ).toMatchObject({ code: 'rate_limited', retryable: true, retryAfterMs: 1_500, message: 'Wait a little' });
  });

  it('has no time to wait, and the meaning of its code, where the broker says nothing', async () => {
    const error = await fail({ ok: false, code: 'conflict' });
    expect(error).toMatchObject({ code: 'conflict', message: expect.stringMatching(/.+/) });
    expect(errorBody(error as RealtimeError)).not.toHaveProperty('retryAfterMs');
  });

  it('is `unavailable` where the broker answered nothing for it', async () => {
    expect(await fail(undefined)).toMatchObject({ code: 'unavailable' });
  });

  it('is `unavailable` where the broker answered nothing at all', async () => {
    const queue = queueOf(undefined as unknown as readonly AppendOutcome[]);
    const both = ['x', 'y'].map((id) => queue.append(request('a', id), 'a').catch((error: unknown) => error));
    expect(await Promise.all(both)).toMatchObject([{ code: 'unavailable' }, { code: 'unavailable' }]);
    expect(queue.pendingBytes).toBe(0);
  });
});
