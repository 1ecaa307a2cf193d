import { MAX_BUSIEST } from '../../core/engine/cluster/busiest-channels.js';
import type { ServedChannelInfo } from '../../core/engine/cluster/served-channels.js';
import { MAX_PAGE } from '../../protocol/validation/command-schemas.js';
import { route, type AdminRoute, type RouteContext } from '../route.js';
import { anything, channelName, channelSet, described, flag, list, object, text, whole } from '../schema.js';
import { count, event, missing, more, page, position, servedChannel } from './answers.js';

/** Most channels of a page: the broker is asked for the members of each. */
const MAX_CHANNELS = 200;
/** Most questions for members that are under way for one request. */
const MAX_COUNTS = 16;

const member = object({ id: text(512), devices: count }, { data: anything });

export const CHANNEL_ROUTES: readonly AdminRoute[] = [
  route({
    id: 'listChannels',
    method: 'GET',
    path: 'channels',
    authority: 'read',
    summary: 'Lists the channels that nodes serve now, by name, with their subscribers and members',
    input: object({}, { channel: described(channelSet, 'a name or a pattern'), ...page(MAX_CHANNELS) }),
    answer: object({ channels: list(servedChannel, MAX_CHANNELS), missing }, { more }),
    example: { channel: 'rooms.:room', limit: 50 },
    run: async (context, { channel, cursor, limit = 100 }) => {
      const found = await context.engine.channels.list(channel, { cursor, limit });
      return { ...found, channels: await withMembers(context, found.channels) };
    },
  }),
  route({
    id: 'listBusiest',
    method: 'GET',
    path: 'channels/busiest',
    authority: 'read',
    summary: 'Lists the channels with the most subscribers, the fullest first',
    input: object({}, { limit: described(whole(1, MAX_BUSIEST), 'most channels; 20 where it is left out') }),
    answer: object({ channels: list(servedChannel, MAX_BUSIEST), missing }, {}),
    example: { limit: 10 },
    run: ({ engine }, { limit = 20 }) => engine.busiest.list(limit),
  }),
  route({
    id: 'getChannel',
    method: 'GET',
    path: 'channels/one',
    authority: 'read',
    summary: 'One channel: its subscribers and members, and the position of its log',
    input: object({ channel: channelName }, {}),
    answer: object(
      { channel: text(200), subscribers: count, nodes: count, position, missing },
      { pattern: text(512), members: count },
    ),
    example: { channel: 'rooms.42' },
    run: async (context, { channel }) => {
      // First: a name that no channel has is refused.
      const log = await context.realtime.channel(channel).history({ limit: 1, reverse: true });
      const found = await context.engine.channels.list(channel, { limit: 1 });
      const [served = { channel, subscribers: 0, nodes: 0 }] = found.channels;
      const members = await membersOf(context, channel);
      return {
        ...served,
        ...(members === undefined ? {} : { members }),
        position: { epoch: log.position.epoch, seq: log.position.seq },
        missing: found.missing,
      };
    },
  }),
  route({
    id: 'listMembers',
    method: 'GET',
    path: 'channels/members',
    authority: 'read',
    summary: 'Lists the members of a channel that keeps presence',
    input: object({ channel: channelName }, page(MAX_PAGE)),
    answer: object({ members: list(member, MAX_PAGE), count }, { more }),
    example: { channel: 'rooms.42', limit: 50 },
    run: async ({ realtime }, { channel, cursor, limit }) => {
      const found = await realtime.channel(channel).members({ cursor, limit });
      return {
        members: found.members,
        count: found.count,
        ...(found.more === undefined ? {} : { more: found.more }),
      };
    },
  }),
  route({
    id: 'readHistory',
    method: 'GET',
    path: 'channels/history',
    authority: 'moderate',
    summary: 'Reads a page of the log of a channel, with the payloads',
    input: object(
      { channel: channelName },
      {
        from: described(whole(0), 'first `seq`; the oldest that is kept where it is left out'),
        until: described(whole(0), 'last `seq`; the newest where it is left out'),
        limit: described(whole(1, MAX_PAGE), 'most events of the page; 100 where it is left out'),
        reverse: described(flag, 'newest first'),
        epoch: described(text(64), 'epoch of the log that `from` and `until` refer to'),
      },
    ),
    answer: object({ events: list(event, MAX_PAGE), position, more: flag }, {}),
    example: { channel: 'rooms.42', limit: 20, reverse: true },
    run: async ({ realtime, reads, by }, { channel, ...range }) => {
      const reader = by();
      const { events, position: tip, more: isMore } = await realtime.channel(channel).history(range);
      reads.add('read_history', reader, channel);
      return { events, position: { epoch: tip.epoch, seq: tip.seq }, more: isMore };
    },
  }),
];

async function withMembers(
  context: RouteContext,
  channels: readonly ServedChannelInfo[],
): Promise<readonly object[]> {
  const found: object[] = [];
  for (let at = 0; at < channels.length; at += MAX_COUNTS) {
    const asked = channels.slice(at, at + MAX_COUNTS).map(async (served) => {
      const members = await membersOf(context, served.channel);
      return members === undefined ? served : { ...served, members };
    });
    found.push(...(await Promise.all(asked)));
  }
  return found;
}

/** How many members it has; `undefined` where this node has no such channel, or it keeps no presence. */
async function membersOf({ engine }: RouteContext, channel: string): Promise<number | undefined> {
  if (!engine.application.keepsPresence(channel)) return undefined;
  return (await engine.application.members(channel, { limit: 1 })).count;
}
