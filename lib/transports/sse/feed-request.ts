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

/** The part of a request that says how a stream is continued; `undefined` for nothing. */
type Continued = Pick<FeedRequest, 'named' | 'lastEventId'>;

/** Whether the client comes back after its stream ended for good: 204 stops a browser. */
export function isStopped(req: IncomingMessage): boolean {
  return continuedOf(req).lastEventId === STOP_ID;
}

/** Reads `?channels=a,b&events=1&lastEventId=…`. @returns the refusal where it cannot be served (P20). */
export function readFeedRequest(req: IncomingMessage, maxChannels: number): FeedRequest | Refusal {
  const { url = '' } = req;
  const bytes = url.length - idBytes(url);
  if (bytes > MAX_URL_BYTES)
    return refused(
      414,
      `The URL has ${bytes} bytes, and ${MAX_URL_BYTES} are allowed: follow fewer channels`,
    );
  const names = queryOf(url)
    .getAll('channels')
    .flatMap((list) => list.split(','));
  return readFeed(req, names, maxChannels);
}

/** The same for channels that are not in the URL. */
export function readFeed(
  req: IncomingMessage,
  channels: readonly string[],
  maxChannels: number,
): FeedRequest | Refusal {
  const problem = problemOf(channels, maxChannels);
  if (problem !== undefined) return refused(400, problem);
  const continued = continuedOf(req);
  const bytes = continued.lastEventId?.length ?? 0;
  if (bytes > MAX_ID_BYTES)
    return refused(414, `The last event id has ${bytes} bytes, and ${MAX_ID_BYTES} are allowed`);
  return { channels, ...continued };
}

/** `Last-Event-ID` is newer: a browser that reconnects sends both. */
function continuedOf({ headers, url = '' }: IncomingMessage): Continued {
  const query = queryOf(url);
  const header = headers['last-event-id'];
  const id = (Array.isArray(header) ? header[0] : header) ?? query.get('lastEventId') ?? '';
  return { named: query.get('events') === '1', lastEventId: id === '' ? undefined : id };
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

function queryOf(url: string): URLSearchParams {
  const start = url.indexOf('?');
  return new URLSearchParams(start === -1 ? '' : url.slice(start + 1));
}

function idBytes(url: string): number {
  const parts = url.split(/[?&]/).filter((part) => part.startsWith('lastEventId='));
  return parts.reduce((sum, part) => sum + part.length, 0);
}
