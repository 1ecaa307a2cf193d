import { afterEach, describe, expect, it } from '@jest/globals';
import { isUserId } from '../../../lib/core/ports/user-id.js';
import type { RealtimeRuntime } from '../../../lib/nest/lifecycle/realtime-runtime.js';
import { RealtimeService } from '../../../lib/nest/realtime.service.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { wireChannel } from '../../support/wire/channel.js';
import { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

let server: WireServer;
afterEach(() => server.close());

/** Gives every token the user id that a test wants. */
async function start(
  id: unknown,
  form: 'at once' | 'later' = 'at once',
  clock = new ManualClock(),
): Promise<void> {
  server = await startWireServer({
    clock,
    channels: [wireChannel('rooms.:room')],
    // The longest name of a node, as a ticket writes it.
    settings: { nodeId: '"'.repeat(64), anonymous: true },
    authenticator: {
      authenticate: ({ token }) => {
        const given = token === undefined ? {} : { user: { id: (token === 'good' ? 'good' : id) as string } };
        return form === 'at once' ? given : Promise.resolve(given);
      },
    },
  });
}

/** What the application has, on this server. */
function service(): RealtimeService {
  return new RealtimeService({ engine: server.engine } as unknown as RealtimeRuntime);
}

const ADMITTED: readonly [string, string][] = [
  ['one character', '7'],
  ['a mail address', 'ada@example.com'],
  ['an id of a provider', 'auth0|5f7c8ec7c33c6c004bbafe82'],
  ['blanks', ' a b '],
  ['195 characters', 'x'.repeat(195)],
  ['255 characters', 'x'.repeat(255)],
  ['255 bytes', `${'é'.repeat(127)}x`],
  ['pairs of surrogates', '😀'.repeat(63)],
  ['what JSON escapes', '"\\'.repeat(127)],
  ['what a name of a channel escapes', '~'.repeat(255)],
];

describe('an id of a user that is admitted (P3h)', () => {
  it.each(ADMITTED)('can be listed, revoked, kicked, banned and let in again: %s', async (_what, id) => {
    await start(id);
    const user = service().user(id);
    const client = await server.connect('t');
    expect(client.welcome?.user).toBe(id);
    expect((await user.sessions()).sessions).toMatchObject([{ user: id }]);
    for (const channel of ['rooms.1', undefined]) {
      await client.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
      await user.revoke(channel);
      expect((await client.next('unsubscribed')).payload['code']).toBe('forbidden');
    }
    await user.disconnect();
    await client.expectClose(4811);
    const again = await server.connect('t');
    await user.ban();
    await again.expectClose(4803);
    const refused = await server.open();
    expect(await refused.error({ type: 'hello', payload: { versions: [1], token: 't' } })).toMatchObject({
      code: 'banned',
    });
    await user.unban();
    expect((await server.connect('t')).welcome?.user).toBe(id);
  });

  it.each(ADMITTED)('fits into a session ticket, in hello and twice: %s', async (_what, id) => {
    await start(id);
    let older = await server.connect('t');
    for (let time = 1; time <= 2; time++) {
      const newer = await server.open();
      await newer.hello('t', { session: older.welcome?.session });
      await older.expectClose(4810);
      older = newer;
    }
  });

  it('publishes to its own channel where its name is not too long, and with an error where it is', async () => {
    const id = 'x'.repeat(194);
    await start(id);
    const client = await server.connect('t');
    await client.call({ type: 'subscribe', channel: `$user.${id}`, payload: {} });
    await service().user(id).publish('notice', 1);
    expect((await client.next('event')).payload).toBe(1);
    const long = service().user('x'.repeat(195));
    await expect(long.publish('notice', 1)).rejects.toMatchObject({ code: 'bad_request' });
    await expect(long.signal('notice')).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('has no channel where its name is too long: another one is not taken for it', async () => {
    await start('x'.repeat(195));
    const client = await server.connect('t');
    for (const channel of [`$user.${'x'.repeat(194)}`, '$user.x']) {
      expect((await client.error({ type: 'subscribe', channel, payload: {} })).code).toBe('forbidden');
    }
    expect(server.records.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

const REFUSED: readonly [string, unknown][] = [
  ['nothing', ''],
  ['256 characters', 'x'.repeat(256)],
  ['256 bytes', 'é'.repeat(128)],
  ['a megabyte', 'x'.repeat(1024 * 1024)],
  ['a zero byte', 'a\u0000b'],
  ['a line break', 'a\nb'],
  ['a control character of C1', '\u0085'],
  ['delete', 'a\u007f'],
  ['the first half of a pair', 'a\ud800'],
  ['the second half of a pair', '\udc00a'],
  ['a number', 7],
  ['an object', { id: 'a' }],
];

describe('an id of a user that cannot be acted on (P3h)', () => {
  it.each(
    REFUSED.flatMap(([what, id]) => (['at once', 'later'] as const).map((form) => [what, form, id] as const)),
  )('is refused wherever a token comes, with a line in the log: %s, %s', async (_what, form, id) => {
    await start(id, form);
    const client = await server.open();
    const hello = { type: 'hello', payload: { versions: [1], token: 't' } };
    expect(await client.error(hello)).toMatchObject({ code: 'unauthorized' });
    await client.expectClose(4801);
    const early = await WireClient.refused(server.url, { protocols: ['realtime.v1.json', 'bearer.t'] });
    expect(early.status).toBe(401);
    const live = await server.connect('good');
    expect((await live.error({ type: 'auth', payload: { token: 't' } })).code).toBe('unauthorized');
    expect(server.engine.sessionsOf('good')).toHaveLength(1);
    const lines = server.records.filter(({ level }) => level === 'warn').map(({ message }) => message);
    expect(lines).toEqual([expect.stringContaining('1 to 255 bytes of UTF-8')]);
    expect(lines[0]?.length).toBeLessThan(600);

    expect(lines[0]).not.toMatch(/[\u0000-\u001f\ud800-\udfff]/u);
  });

  it.each(REFUSED)('is refused by realtime.user(): %s', async (_what, id) => {
    await start('x');
    expect(isUserId(id)).toBe(false);
    expect(() => service().user(id as string)).toThrow(expect.objectContaining({ code: 'bad_request' }));
  });

  it.each(REFUSED)('is refused as the author of what the application sends: %s', async (_what, id) => {
    await start('x');
    const room = service().channel('rooms.1');
    const wrong = {
      code: 'bad_request',
      message: expect.stringContaining('user must be a string of 1 to 255'),
    };
    await expect(room.publish('said', 1, { user: id as string })).rejects.toMatchObject(wrong);
    await expect(room.signal('said', 1, id as string)).rejects.toMatchObject(wrong);
  });
});

describe('a revoke of a channel that does not exist', () => {
  it('is refused with the remedy, and nothing is recorded', async () => {
    await start('ada');
    const client = await server.connect('t');
    await client.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
    for (const name of ['room.1', 'rooms.1.2', 'rooms', '$other.ada']) {
      await expect(service().user('ada').revoke(name)).rejects.toMatchObject({
        code: 'unknown_channel',
        message: expect.stringMatching(/leave it out/),
      });
    }
    const receipt = await service().user('ada').revoke('$user.ada');
    expect(receipt.missing).toEqual([]);
    expect((await client.call({ type: 'ping' })).type).toBe('pong');
    expect(client.pending).toEqual([]);
  });
});
