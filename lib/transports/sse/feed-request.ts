import type { IncomingMessage } from 'node:http';
import type { Refusal } from '../../core/ports/transport-host.js';
import { isChannelName } from '../../protocol/channel-name.js';
import { refused } from '../http/handshake-policy.js';
import { MAX_ID_BYTES, STOP_ID } from './resume-id.js';

/** Most bytes of a URL without the id in it: with the id, nginx takes a request line of 8 KiB. */
const MAX_URL_BYTES = 4_096;

/** What a request asks for. */
export interface FeedRequest {
  readonly channels: readonly string[];
  /** Whether events have the names that the application gave them. */
  readonly named: boolean;
  readonly lastEventId: string | undefined;
}

/** Reads `?channels=a,b&events=1&lastEventId=…`, and the header that wins over the last of them. Nothing of it is judged. */
export function readFeedQuery({ headers, url = '' }: IncomingMessage): FeedRequest {
  const start = url.indexOf('?');
  const query = new URLSearchParams(start === -1 ? '' : url.slice(start + 1));
  const header = headers['last-event-id'];
  // A browser that reconnects sends both, and the header is newer.
  const id = (Array.isArray(header) ? header[0] : header) ?? query.get('lastEventId') ?? '';
  return {
    channels: query.getAll('channels').flatMap((list) => list.split(',')),
    named: query.get('events') === '1',
    lastEventId: id === '' ? undefined : id,
  };
}

/** Whether the client comes back after its stream ended for good: 204 stops a browser. */
export function isStopped({ lastEventId }: FeedRequest): boolean {
  return lastEventId === STOP_ID;
}

/** The refusal of a URL that names too many channels for what proxies take (P20e). */
export function judgeUrl({ url = '' }: IncomingMessage): Refusal | undefined {
  const bytes = url.length - idBytes(url);
  if (bytes <= MAX_URL_BYTES) return undefined;
  return refused(414, `The URL has ${bytes} bytes, and ${MAX_URL_BYTES} are allowed: follow fewer channels`);
}

/** @param channels those of the query, or of the application. @returns the refusal where it cannot be served (P20). */
export function judgeFeed(
  query: FeedRequest,
  channels: readonly string[],
  maxChannels: number,
): FeedRequest | Refusal {
  const problem = problemOf(channels, maxChannels);
  if (problem !== undefined) return refused(400, problem);
  const bytes = query.lastEventId?.length ?? 0;
  if (bytes > MAX_ID_BYTES)
    return refused(414, `The last event id has ${bytes} bytes, and ${MAX_ID_BYTES} are allowed`);
  return { ...query, channels };
}

function problemOf(channels: readonly string[], maxChannels: number): string | undefined {
  if (channels.length === 0) return 'No channels: write ?channels=a,b';
  const wrong = channels.find((name): boolean => !isChannelName(name));
  if (wrong !== undefined) return `"${wrong.slice(0, 200)}" is not the name of a channel`;
  if (new Set(channels).size < channels.length) return 'A channel is named twice';
  if (channels.length > maxChannels)
    return `${channels.length} channels are named, and a stream may follow ${maxChannels}`;
  return undefined;
}

function idBytes(url: string): number {
  const parts = url.split(/[?&]/).filter((part) => part.startsWith('lastEventId='));
  return parts.reduce((sum, part) => sum + part.length, 0);
}
