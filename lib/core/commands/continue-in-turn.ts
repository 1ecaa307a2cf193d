import type { ClientCommandType } from '../../protocol/commands.js';
import { noTurnInTime, type TurnClient, type Turns } from '../async/turns.js';
import { withTimeout } from '../async/with-timeout.js';
import { whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import type { EnginePorts } from '../ports/settings.js';
import { requireRoom } from '../session/answers.js';

export interface TurnDeps extends Pick<EnginePorts, 'clock' | 'settings'> {
  readonly turns: Turns;
}

/** A session for which something that costs much is done. */
export interface WaitingSession extends TurnClient {
  readonly outbox: { readonly isBehind: boolean };
  requirePaid(type: ClientCommandType): void;
}

/**
 * The turn of what costs much, which its command had already when it began, and what must hold when it comes. A client that waits
 * for the answer has one within `handlerTimeout`, however much waits on this node.
 *
 * @param hasWaited whether the command has waited for something else since it began.
 * @returns `false` where nobody waits for the answer any more.
 * @throws RealtimeError `unavailable` without a turn in time; `rate_limited`. What was asked for is not done then.
 */
export function continueInTurn(
  { turns, clock, settings }: TurnDeps,
  session: WaitingSession,
  type: ClientCommandType,
  hasWaited: boolean,
): MaybePromise<boolean> {
  const turn = hasWaited ? turns.turn(session, type !== 'subscribe') : undefined;
  return whenReady<void | undefined, boolean>(
    withTimeout<void | undefined>(turn, settings.handlerTimeoutMs, clock, noTurnInTime),
    () => {
      if (session.isClosed) return false;
      session.requirePaid(type);
      requireRoom(session.outbox);
      return true;
    },
  );
}
