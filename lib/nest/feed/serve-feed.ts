import { systemClock } from '../../core/ports/clock.js';
import { copyIdentity, type RealtimeIdentity, type Verified } from '../../core/ports/identity.js';
import { isUserId, USER_ID_RULE } from '../../core/ports/user-id.js';
import type { SseTransport } from '../../transports/sse/index.js';
import { rawRequest, takeResponse, type FrameworkReply } from '../lifecycle/framework.js';
import { durationMs, type Duration } from '../options/duration.js';

/** What `serveFeed` sends, and to whom. */
export interface FeedOptions {
  /** Names of the channels, at least one and at most `limits.maxChannels`. */
  readonly channels: readonly string[];
  /**
   * The user, as the route's guards have verified it. Default: the credentials of the request say who it is, as they do at
   * `{path}/sse`: `Authorization: Bearer`, the query parameter of `queryToken`, the cookie of `auth.cookie`.
   */
  readonly user?: RealtimeIdentity | null | undefined;
  /** How long that user is taken for verified. The stream then ends, and the client comes back through the guards. Default: without end. */
  readonly expiresIn?: Duration | undefined;
  /** Whether events have the names that the application gave them, for `addEventListener`. Default: as the URL says, `?events=1`. */
  readonly events?: boolean | undefined;
}

/** A request or response of Express or Fastify. */
export type FeedTarget = object;

/** @throws TypeError, or Error, as `RealtimeService.serveFeed` says. */
export async function serveFeed(
  feeds: SseTransport | undefined,
  request: FeedTarget,
  response: FeedTarget,
  { channels, user, expiresIn, events }: FeedOptions,
): Promise<void> {
  if (feeds === undefined)
    throw new Error(
      'serveFeed(): this application takes no clients. Leave publisherOnly out where it serves feeds.',
    );
  if (!Array.isArray(channels) || !channels.every((name) => typeof name === 'string'))
    throw new TypeError('serveFeed(): channels must be a list of names, such as ["prices.eur"].');
  const authentication = user == null ? undefined : verified(user, expiresIn);
  const reply = response as FrameworkReply;
  const res = takeResponse(reply);
  // Fastify keeps what hooks and plugins set (CORS, security headers) until it sends the reply itself.
  if (reply.raw !== undefined)
    for (const [name, value] of Object.entries(reply.getHeaders?.() ?? {}))
      if (value !== undefined && !res.hasHeader(name)) res.setHeader(name, value);
  await feeds.serve(rawRequest(request), res, {
    channels,
    named: events,
    authentication,
  });
}

function verified(user: RealtimeIdentity, expiresIn: Duration | undefined): Verified {
  if (!isUserId(user.id)) throw new TypeError(`serveFeed(): user.id must be ${USER_ID_RULE}.`);
  const lifeMs = expiresIn === undefined ? Infinity : durationMs(expiresIn, 'serveFeed: expiresIn');
  return { user: Object.freeze(copyIdentity(user)), endsAt: systemClock.monotonic() + lifeMs };
}
