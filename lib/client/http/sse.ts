import { EventBlocks } from './event-blocks.js';
import { post, whyOf, type HttpResponse } from './request.js';
import type { Blame, StartCarrier } from './session.js';

/** Carries the messages of a session by one event stream, which is the answer to the request that opens it. */
export const startStream: StartCarrier = (deps, opening, events) => {
  const { clock, url, firstLimitMs } = deps;
  const { response, abort, untilAbort } = post(deps, url, {
    ...opening,
    headers: { ...opening.headers, accept: 'text/event-stream' },
  });
  let isStopped = false;
  let isOpen = false;
  const timer = clock.schedule(firstLimitMs, () =>
    // A proxy that gathers the stream passes its bytes on when it ends, which is never.
    fail(`No event stream of ${url} within ${firstLimitMs} ms`, 'blocked'),
  );
  const blocks = new EventBlocks((data) => {
    if (!isStopped) events.messages(data);
  });

  function fail(why: string, blame?: Blame): void {
    if (isStopped) return;
    stop();
    events.failed(why, blame);
  }

  function stop(): void {
    isStopped = true;
    timer.cancel();
    abort();
  }

  async function read(answer: HttpResponse): Promise<void> {
    const { status, headers, body } = answer;
    if (isStopped) return;
    if (status !== 200) {
      const text = await untilAbort(answer.text());
      timer.cancel();
      if (!isStopped) events.refused({ status, headers, text });
      return;
    }
    if (typeof body?.getReader !== 'function') {
      fail('This platform reads no streams', 'impossible');
      return;
    }
    if (!isEventStream(answer)) {
      fail(`${url} answered with no event stream`);
      return;
    }
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await untilAbort(reader.read());
      if (isStopped) return;
      if (done) break;
      timer.cancel();
      isOpen = true;
      blocks.push(value);
    }
    over(`The event stream of ${url} ended`);
  }

  function over(why: string): void {
    if (isStopped) return;
    if (!isOpen) fail(why);
    else events.lost({ code: 1006, reason: '', failure: why });
  }

  response.then(
    (answer) =>
      read(answer).catch((error: unknown) => over(`The event stream of ${url} broke: ${whyOf(error)}`)),
    (error: unknown) => {
      if (isStopped) return;
      stop();
      events.unread(`${url} cannot be reached: ${whyOf(error)}`);
    },
  );
  return { stop };
};

/** Whether an answer says that it is one. */
export function isEventStream({ headers }: HttpResponse): boolean {
  return /^text\/event-stream/i.test(headers.get('content-type') ?? '');
}
