import { beforeEach, describe, expect, it } from '@jest/globals';
import type { RealtimeRuntime } from '../../../lib/nest/lifecycle/realtime-runtime.js';
import { RealtimeService } from '../../../lib/nest/realtime.service.js';

/** What reached the engine. */
let reached: unknown[] = [];
beforeEach(() => void (reached = []));
const record =
  (name: string) =>
  (...given: unknown[]) =>
    void reached.push([name, ...given]);
const engine = {
  ipv6Prefix: 64,
  lineageOf: (text: string) => (text === 's1' ? 'lineage of s1' : text),
  restrict: record('restrict'),
  lift: record('lift'),
  revoke: record('revoke'),
  requireChannel: () => undefined,
  restrictions: record('restrictions'),
  disconnect: record('disconnect'),
  unban: record('unban'),
  reauthorize: record('reauthorize'),
  disconnectSessions: record('disconnectSessions'),
};
const realtime = new RealtimeService({ engine } as unknown as RealtimeRuntime);
const { moderation } = realtime;
const untyped = <T>(value: unknown): T => value as T;
const why = { reason: 'spam', by: 'mod' };
const user = { of: 'user', id: 'ada' };
const everybody = { of: 'everybody', id: '' };

describe('realtime.moderation', () => {
  it.each<[string, () => unknown, unknown[]]>([
    [
      'a ban',
      () => moderation.ban({ user: 'ada' }, { for: '1h', ...why }),
      ['restrict', { act: 'ban', whom: user, forMs: 3_600_000, ...why }],
    ],
    [
      'a ban of a session from a channel',
      () => moderation.ban({ session: 's1' }, { channel: 'rooms.1' }),
      ['restrict', { act: 'ban', whom: { of: 'session', id: 'lineage of s1' }, channel: 'rooms.1' }],
    ],
    [
      'a mute of an address as limits count it',
      () => moderation.mute({ address: '2001:DB8::1' }, { for: 5 }),
      ['restrict', { act: 'mute', whom: { of: 'address', id: '2001:db8::/64' }, forMs: 5 }],
    ],
    [
      'a kick for a time',
      () => moderation.kick('ada', 'rooms.:room', { for: '5m', ...why }),
      ['restrict', { act: 'ban', whom: user, channel: 'rooms.:room', forMs: 300_000, ...why }, 'kick'],
    ],
    ['a kick', () => moderation.kick('ada', 'rooms.1', why), ['revoke', 'ada', 'rooms.1', why, 'kick']],
    [
      'slow mode',
      () => moderation.slow('rooms.1', { every: '30s', for: '1d', ...why }),
      [
        'restrict',
        { act: 'slow', whom: everybody, channel: 'rooms.1', everyMs: 30_000, forMs: 86_400_000, ...why },
      ],
    ],
    [
      'the end of slow mode',
      () => moderation.endSlow('rooms.1', why),
      ['lift', { act: 'slow', whom: everybody, channel: 'rooms.1' }, why],
    ],
    [
      'the end of a mute',
      () => moderation.lift('mute', { user: 'ada' }, { channel: 'rooms.1', ...why }),
      ['lift', { act: 'mute', whom: user, channel: 'rooms.1' }, why],
    ],
    [
      'the end of a ban',
      () => moderation.lift('ban', { user: 'ada' }),
      ['lift', { act: 'ban', whom: user }, {}],
    ],
    [
      'a list',
      () =>
        moderation.restrictions({ act: 'mute', user: 'ada', channel: 'rooms.1' }, { cursor: '12', limit: 7 }),
      ['restrictions', { act: 'mute', whom: user, channel: 'rooms.1' }, 12, 7],
    ],
    ['a list of all', () => moderation.restrictions(), ['restrictions', {}, 0, 100]],
    ['disconnect', () => realtime.user('ada').disconnect(why), ['disconnect', 'ada', why]],
    ['revoke', () => realtime.user('ada').revoke('rooms.1', why), ['revoke', 'ada', 'rooms.1', why]],
    ['unban', () => realtime.user('ada').unban(why), ['unban', 'ada', why]],
    [
      'reauthorize',
      () => realtime.reauthorize({ user: 'ada', ...why }),
      ['reauthorize', 'ada', undefined, why],
    ],
    [
      'sessions.disconnect',
      () => realtime.sessions.disconnect({ channel: 'rooms.1' }, why),
      ['disconnectSessions', 'channel', 'rooms.1', why],
    ],
  ])('%s reaches the engine with who and why (G26)', async (_, call, expected) => {
    await call();
    expect(reached).toEqual([expected]);
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['nobody', () => moderation.ban(untyped({})), 'ban: give exactly one of'],
    ['undefined', () => moderation.ban(untyped(undefined)), 'ban: give exactly one of'],
    [
      'an id that is undefined',
      () => moderation.mute(untyped({ user: undefined })),
      'mute: give exactly one of',
    ],
    ['two', () => moderation.ban(untyped({ user: 'a', address: '::1' })), 'ban: give exactly one of'],
    ['a number as user', () => moderation.ban(untyped({ user: 7 })), 'ban: user must be'],
    ['an empty user', () => moderation.kick('', 'rooms.1'), 'kick: user must be'],
    ['no address', () => moderation.mute({ address: 'here' }), 'mute: address must be an IP address'],
    ['a number as address', () => moderation.mute(untyped({ address: 7 })), 'mute: address must be an IP'],
    ['an id of another node', () => moderation.ban({ session: 's'.repeat(20) }), 'ban: session must be'],
    ['an empty session', () => moderation.ban({ session: '' }), 'ban: session must be'],
    [
      'a kick from nowhere',
      () => moderation.kick('ada', untyped(undefined)),
      'kick: give the name of a channel',
    ],
    ['slow mode of nothing', () => moderation.slow(untyped(undefined), { every: 1 }), 'slow: give the name'],
    [
      'a channel that is no text',
      () => moderation.ban({ user: 'a' }, untyped({ channel: 7 })),
      'ban: give the name',
    ],
    [
      'a long reason',
      () => moderation.ban({ user: 'a' }, { reason: 'r'.repeat(513) }),
      'ban: reason must be',
    ],
    [
      'a long author',
      () => moderation.lift('ban', { user: 'a' }, { by: 'b'.repeat(257) }),
      'lift: by must be',
    ],
    [
      'another act',
      () => moderation.lift(untyped('slow'), { user: 'a' }),
      "lift: the act is 'ban' or 'mute'",
    ],
  ])('%s is refused, before anything happens', async (_, call, message) => {
    await expect(call()).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining(message),
    });
    expect(reached).toEqual([]);
  });

  it.each<[string, () => unknown, string]>([
    ['a limit of 0', () => moderation.restrictions({}, { limit: 0 }), 'limit must be'],
    ['a limit above 1000', () => moderation.restrictions({}, { limit: 1_001 }), 'limit must be'],
    ['a cursor that is none', () => moderation.restrictions({}, { cursor: 'x' }), 'cursor is not'],
    ['a misspelt name', () => moderation.restrictions(untyped({ usr: 'ada' })), 'there is no usr'],
    ['undefined', () => moderation.restrictions(untyped({ user: undefined })), 'user is undefined'],
    ['two of whom', () => moderation.restrictions({ user: 'a', session: 's' }), 'give exactly one of'],
  ])('a list with %s is refused', (_, call, message) => {
    expect(call).toThrow(
      expect.objectContaining({ code: 'bad_request', message: expect.stringContaining(message) }),
    );
    expect(reached).toEqual([]);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['for', () => moderation.ban({ user: 'a' }, { for: untyped('soon') })],
    ['for of a user', () => realtime.user('ada').ban({ for: untyped('banana') })],
    ['a ttl', () => realtime.channel('rooms.1').publish('said', {}, { ttl: untyped('banana') })],
    ['a for of 0', () => moderation.mute({ user: 'a' }, { for: 0 })],
    ['every', () => moderation.slow('rooms.1', untyped({}))],
    ['an every of more than a day', () => moderation.slow('rooms.1', { every: '25h' })],
  ])('%s that is no duration is refused', async (_, call) => {
    await expect(call()).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringMatching(/not a duration. Write milliseconds|Give at least 1|at most a day/),
    });
    expect(reached).toEqual([]);
  });
});
