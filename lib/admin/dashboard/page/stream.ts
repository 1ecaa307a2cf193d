import type { Api } from './api.js';

/** A message of a plain event stream (P20). */
export interface StreamMessage {
  readonly type: string;
  readonly event?: string;
  readonly seq?: number;
  readonly ts?: number;
  readonly user?: string;
  readonly id?: string;
  readonly payload?: unknown;
}

export interface StreamListener {
  onMessage(message: StreamMessage): void;
  /** `refused` is for good: the stream does not come back. */
  onState(state: 'open' | 'lost' | 'refused', reason?: string): void;
}

const MIN_WAIT_MS = 1_000;
const MAX_WAIT_MS = 20_000;
/** A block that never ends must not fill the memory of the page. */
const MAX_BLOCK = 2 * 1_024 * 1_024;

/**
 * Reads an event stream with the headers of the API, which an `EventSource` cannot send. Comes back after a loss, where it stopped.
 *
 * @returns ends it.
 */
export function openStream(
  api: Api,
  path: string,
  query: Readonly<Record<string, string>>,
  listener: StreamListener,
): () => void {
  const ended = new AbortController();
  void run(api, path, query, listener, ended.signal);
  return () => ended.abort();
}

async function run(
  api: Api,
  path: string,
  query: Readonly<Record<string, string>>,
  listener: StreamListener,
  ended: AbortSignal,
): Promise<void> {
  const place: Place = { id: undefined, retryMs: undefined };
  let failures = 0;
  while (!ended.aborted) {
    try {
      const headers = { ...api.headers, ...(place.id === undefined ? {} : { 'Last-Event-ID': place.id }) };
      const response = await fetch(api.urlOf(path, query), { headers, cache: 'no-store', signal: ended });
      if (response.status === 204) return listener.onState('refused', 'The stream has ended');
      if (!response.ok || response.body === null) {
        const error = await api.errorOf(response);
        if (response.status < 500 && response.status !== 429)
          return listener.onState('refused', error.message);
        throw error;
      }
      listener.onState('open');
      failures = 0;
      await read(response.body, place, listener);
      listener.onState('lost');
    } catch (error) {
      if (ended.aborted) return;
      failures++;
      listener.onState('lost', error instanceof Error ? error.message : String(error));
    }
    const wait = Math.min(
      MAX_WAIT_MS,
      Math.max(place.retryMs ?? 0, MIN_WAIT_MS * 2 ** Math.min(failures, 5)),
    );
    await pause(wait * (0.5 + Math.random() / 2), ended);
  }
}

/** Where a stream stands, for its next request. */
interface Place {
  id: string | undefined;
  retryMs: number | undefined;
}

async function read(body: ReadableStream<Uint8Array>, place: Place, listener: StreamListener): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  for (const reader = body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    if (rest.length > MAX_BLOCK) return void reader.cancel();
    const blocks = rest.split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) take(block, place, listener);
  }
}

function take(block: string, place: Place, listener: StreamListener): void {
  let data: string | undefined;
  for (const line of block.split('\n')) {
    const at = line.indexOf(': ');
    const field = line.slice(0, at);
    const value = line.slice(at + 2);
    if (field === 'id') place.id = value;
    else if (field === 'retry') place.retryMs = Number(value);
    else if (field === 'data') data = value;
  }
  if (data !== undefined) listener.onMessage(JSON.parse(data) as StreamMessage);
}

function pause(ms: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    ended.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
