import { post, type HttpDeps } from './request.js';
import { isEventStream } from './sse.js';

/**
 * How long a stream has to stay open behind its first bytes. What gathers it gives its bytes and its end at once: the server holds it
 * for four times as long.
 */
const HELD_MS = 500;

/**
 * Asks the server for an event stream that carries no session (P21k): only where its first bytes come before its end does nothing on
 * the way gather it. The session of the client is not touched.
 *
 * @param onResult Called once, unless the trial is ended before.
 * @returns Ends it.
 */
export function tryStream(
  deps: HttpDeps,
  url: string,
  limitMs: number,
  onResult: (gotThrough: boolean) => void,
): () => void {
  const { clock } = deps;
  const { response, abort, untilAbort } = post(deps, url, {
    body: '[]',
    headers: { accept: 'text/event-stream' },
  });
  let isOver = false;
  let timer = clock.schedule(limitMs, () => result(false));
  const end = (): void => {
    isOver = true;
    timer.cancel();
    abort();
  };
  const result = (gotThrough: boolean): void => {
    if (isOver) return;
    end();
    onResult(gotThrough);
  };
  const read = async (): Promise<void> => {
    const answer = await response;
    if (answer.status !== 200 || !isEventStream(answer)) return;
    const reader = answer.body?.getReader();
    if (reader === undefined || (await untilAbort(reader.read())).done || isOver) return;
    timer.cancel();
    const since = clock.monotonic();
    // A page that stood still cannot tell what came first.
    timer = clock.schedule(HELD_MS, () => result(clock.monotonic() - since < 2 * HELD_MS));
    while (!(await untilAbort(reader.read())).done);
  };
  const fail = (): void => result(false);
  read().then(fail, fail);
  return end;
}
