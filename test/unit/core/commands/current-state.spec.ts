import { describe, expect, it } from '@jest/globals';
import { CurrentState, type CurrentStateDeps } from '../../../../lib/core/commands/current-state.js';
import { type RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import type { Session } from '../../../../lib/core/session/session.js';
import { ENGINE_DEFAULTS } from '../../../../lib/core/ports/settings-defaults.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

describe('the command `snapshot`', () => {
  it('behind a subscribe that is being authorized is answered with unavailable when it has no turn in time (G16)', async () => {
    const clock = new ManualClock();
    let asked = 0;
    const deps = {
      clock,
      settings: { ...ENGINE_DEFAULTS, handlerTimeoutMs: 10_000 },
      authorizer: { resolve: () => ({}), subscriptionOf: async () => ({}) },
      planner: { current: async () => asked++ },
      turns: { turn: () => new Promise(() => undefined) },
      pump: () => undefined,
    } as unknown as CurrentStateDeps;
    const session = {
      isClosed: false,
      toClientError: (error: unknown) => error,
    } as Session;
    const told = new CurrentState(deps)
      .run(session, { type: 'snapshot', id: 's', channel: 'rooms.1' })
      .catch((error: unknown) => error);
    await settle();
    clock.advance(9_999);
    await settle();
    let isAnswered = false;
    void told.then(() => (isAnswered = true));
    await settle();
    expect(isAnswered).toBe(false);
    clock.advance(1);
    const error = (await told) as RealtimeError;
    expect(error).toMatchObject({ code: 'unavailable', retryable: true, retryAfterMs: 1_000 });
    expect(error.message).toContain('no turn in time');
    expect(asked).toBe(0);
  });
});
