import { closeNameOf } from '../../protocol/close-codes.js';
import { exchange, whyOf, type HttpAnswer } from './request.js';
import { Repeated, verdictOf, type SessionRequests, type Verdict } from './sender.js';
import type { StartCarrier } from './session.js';

/**
 * Carries the messages of a session by polls: each confirms the answer before by its number, and is answered with what comes next. One
 * that is lost on the way is asked for again.
 */
export const startPolls: StartCarrier = (deps, opening, events) => {
  const { url, codec, requestLimitMs } = deps;
  const first = exchange(deps, url, opening, requestLimitMs);
  let isStopped = false;
  let poll: Repeated | undefined;
  /** Number of the last answer. */
  let last = 0;

  /** @returns whether it was the answer that is due. */
  function take({ status, headers, text }: HttpAnswer): boolean {
    if (status !== 200 || Number(headers.get('realtime-answer')) !== last + 1) return false;
    // A page that was put between, e.g. to log in, is no answer: nothing of it is confirmed.
    if (!Array.isArray(parsed(text))) return false;
    last++;
    events.messages(text);
    // The last word of the server has the form of one that only announces the end.
    const end = Number(headers.get('realtime-end'));
    if (isCloseCode(end)) events.lost({ code: end, reason: closeNameOf(end) ?? '', failure: '' });
    return true;
  }

  function next(): void {
    const { welcome } = codec;
    if (isStopped) return;
    if (welcome?.connection === undefined) {
      events.lost({ code: 1006, reason: '', failure: 'The session was not welcomed' });
      return;
    }
    const { intervalMs, timeoutMs } = welcome.heartbeat;
    // Without a poll for that long the server ends the session.
    const requests: SessionRequests = { ...deps, patienceMs: timeoutMs };
    const headers = { 'realtime-session': welcome.connection, 'realtime-ack': String(last) };
    const judge = (answer: HttpAnswer): Verdict | Promise<Verdict> => {
      if (isStopped || take(answer)) return { kind: 'taken' };
      // Another poll of this session won: one that a proxy made of this one.
      return answer.status === 200 || answer.status === 204 ? { kind: 'unknown' } : verdictOf(answer);
    };
    poll = new Repeated(requests, url, { headers }, intervalMs + timeoutMs, judge, (loss) => {
      if (isStopped) return;
      if (loss === undefined) next();
      else events.lost(loss);
    });
  }

  first.result.then(
    (answer) => {
      if (isStopped) return;
      if (answer.status !== 200) events.refused(answer);
      else if (take(answer)) next();
      else events.failed(`${url} answered with no messages`);
    },
    (error: unknown) => {
      if (!isStopped) events.unread(`${url} cannot be reached: ${whyOf(error)}`);
    },
  );
  return {
    stop() {
      isStopped = true;
      first.abort();
      poll?.stop();
    },
  };
};

function isCloseCode(code: number): boolean {
  return Number.isInteger(code) && code >= 1_000 && code <= 4_999;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
