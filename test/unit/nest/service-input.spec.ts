import { describe, expect, it } from '@jest/globals';
import type { RealtimeRuntime } from '../../../lib/nest/lifecycle/realtime-runtime.js';
import { RealtimeService } from '../../../lib/nest/realtime.service.js';

/** What reached the engine: nothing of what is tested here may. */
const reached: string[] = [];
const engine: object = new Proxy(
  {},
  {
    get: (_, name) => (name === 'application' ? engine : () => void reached.push(String(name))),
  },
);
const realtime = new RealtimeService({ engine } as unknown as RealtimeRuntime);
const room = realtime.channel('rooms.42');
const ada = realtime.user('ada');
/** As an application without types, or with a number from its database, would call it. */
const untyped = <T>(value: unknown): T => value as T;

describe('arguments of RealtimeService', () => {
  it.each<[string, () => Promise<unknown>, string]>([
    ['an event without a name', () => room.publish('', 1), 'publish: event must be a string of 1 to 128'],
    ['no event', () => room.publish(untyped(undefined), 1), 'publish: event is required'],
    [
      'a number as id',
      () => room.publish('said', 1, { id: untyped(7) }),
      'publish: id must be a string of 1',
    ],
    ['a long id', () => room.publish('said', 1, { id: 'x'.repeat(65) }), 'publish: id must be a string of 1'],
    ['an empty key', () => room.publish('said', 1, { key: '' }), 'publish: key must be a string of 1 to 128'],
    ['a number as user', () => room.publish('said', 1, { user: untyped(7) }), 'publish: user must be a str'],
    ['a list as meta', () => room.publish('said', 1, { meta: untyped([]) }), 'publish: meta must be an obj'],
    ['a signal without a name', () => room.signal(''), 'signal: event must be a string of 1 to 128'],
    ['a limit of 0', () => room.history({ limit: 0 }), 'history: limit must be a whole number of at'],
    ['a string as bound', () => room.history({ from: untyped('x') }), 'history: from must be a whole'],
    [
      'a negative page limit',
      () => room.members({ limit: -1 }),
      'members: limit must be a whole number of at',
    ],
    ['an invalid channel name', () => ada.revoke('rooms 42'), 'revoke: channel must be a channel name'],
    [
      'a pattern where one channel is meant',
      () => realtime.sessions.disconnect({ channel: 'rooms.:room' }),
      'disconnect: channel must be the name of one channel',
    ],
    [
      'a pattern in a list',
      () => realtime.sessions.list({ channel: ':a.b' }),
      'sessions: channel must be the name of one channel',
    ],
    ['a number in a filter', () => realtime.sessions.count({ user: untyped(7) }), 'sessions: user must be'],
  ])(
    '%s is refused with its name and a valid form, before anything happens (P5)',
    async (_, call, message) => {
      await expect(call()).rejects.toMatchObject({
        code: 'bad_request',
        message: expect.stringContaining(message),
        details: [{ path: message.split(/[: ]+/)[1] }],
      });
      expect(reached).toEqual([]);
    },
  );

  it.each<[string, () => Promise<unknown>, string]>([
    ['undefined', () => realtime.sessions.count({ user: undefined }), 'count: user is undefined'],
    ['a misspelt name', () => realtime.sessions.list(untyped({ usr: 'ada' })), 'list: there is no usr'],
    ['no object', () => realtime.reauthorize(untyped('ada')), 'reauthorize: give an object'],
    ['undefined', () => realtime.reauthorize({ user: undefined }), 'reauthorize: user is undefined'],
    ['a misspelt name', () => realtime.reauthorize(untyped({ usr: 'ada' })), 'reauthorize: there is no usr'],
    [
      'an address',
      () => realtime.reauthorize(untyped({ address: '::1' })),
      'reauthorize: there is no address',
    ],
  ])('%s in a filter does not mean everybody', async (_, call, message) => {
    await expect(call()).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining(message),
    });
    expect(reached).toEqual([]);
  });

  it('a number is refused as the id of a user (G11)', () => {
    expect(() => realtime.user(untyped(7))).toThrow(
      expect.objectContaining({
        code: 'bad_request',
        message: 'realtime.user(): the id must be a string, as in the token. Use String(id)',
      }),
    );
  });

  it('valid values are accepted', async () => {
    const options = { id: 'a', key: 'k', user: 'u', trace: 't', meta: { x: 1 }, ttl: '5s' } as const;
    await room.publish('said', undefined, options);
    await room.signal('typing');
    await room.history();
    await room.history({ from: 0, until: 9, limit: 1, reverse: true, epoch: 'e' });
    await room.members({ cursor: 'c', limit: 1 });
    await ada.revoke();
    await ada.revoke('rooms.42');
    expect(reached).toEqual(['publish', 'signal', 'history', 'history', 'members', 'revoke', 'revoke']);
  });
});
