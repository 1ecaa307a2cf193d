import { afterEach, describe, expect, it } from '@jest/globals';
import { ValidationPipe, VersioningType, type INestApplication } from '@nestjs/common';
import { map } from 'rxjs';
import { RealtimeAdminModule } from '../../../../lib/admin/index.js';
import { MAX_BODY_BYTES } from '../../../../lib/admin/input.js';
import { RealtimeBootError } from '../../../../lib/nest/index.js';
import { until } from '../../../support/until.js';
import { PLATFORMS } from '../support/nest-app.js';
import { StaffGuard, startAdmin, type AdminApp } from './support.js';

describe('the options of the admin module', () => {
  const good = { guards: [StaffGuard], authorityOf: () => undefined, by: () => 'ada' };
  it.each([
    ['guards', { ...good, guards: undefined }],
    ['guards', { ...good, guards: [] }],
    ['guards', { ...good, guards: [class {}] }],
    ['guards', { ...good, guards: [{}] }],
    ['authorityOf', { ...good, authorityOf: undefined }],
    ['by', { ...good, by: undefined }],
    ['path', { ...good, path: '' }],
    ['path', { ...good, path: 'a/:b' }],
    ['path', { ...good, path: '../a' }],
    ['imports', { ...good, imports: {} }],
    ['authority', { ...good, authority: () => 'read' }],
  ])('refuse a wrong %s at boot, with the remedy: %j', (name, options) => {
    const start = () => RealtimeAdminModule.forRoot(options as never);
    expect(start).toThrow(RealtimeBootError);
    expect(start).toThrow(new RegExp(`- RealtimeAdminModule: ${name}: .+ (Give|Write|Use) `));
  });

  it('name everything that is wrong at once', () => {
    expect(() => RealtimeAdminModule.forRoot(undefined as never)).toThrow(
      /guards[^]*authorityOf[^]*by: is missing/,
    );
  });

  it('say whether a function is missing, or is something else', () => {
    const start = () =>
      RealtimeAdminModule.forRoot({ ...good, authorityOf: 'administer', by: 'ada' } as never);
    expect(start).toThrow(/authorityOf: is no function, [^]*by: is no function, /);
  });
});

describe.each(PLATFORMS)('the admin API, on %s', (_name, platform) => {
  let app: AdminApp;
  afterEach(() => app.close());

  async function join(user: string, room: string) {
    const client = await app.connect(user);
    await client.reply({ type: 'subscribe', channel: room, payload: { presence: {} } });
    return client;
  }

  it('finds connections, channels and members, page by page', async () => {
    app = await startAdmin(platform);
    for (const user of ['ada', 'bob', 'cyd']) await join(user, 'rooms.1');
    await join('ada', 'rooms.2');
    const first = (await app.get('connections?channel=rooms.1&limit=2')).body;
    expect(first.sessions.map(({ user }: { user: string }) => user)).toEqual(['ada', 'bob']);
    const rest = (await app.get(`connections?channel=rooms.1&limit=2&cursor=${first.more}`)).body;
    expect(rest.sessions.map(({ user }: { user: string }) => user)).toEqual(['cyd']);
    expect(rest.more).toBeUndefined();
    expect((await app.get('connections/count?user=ada')).body).toEqual({ count: 2, missing: [] });
    expect((await app.get('channels?limit=1')).body).toEqual({
      channels: [{ channel: 'rooms.1', pattern: 'rooms.:room', subscribers: 3, nodes: 1, members: 3 }],
      more: expect.any(String),
      missing: [],
    });
    expect((await app.get('channels?channel=rooms.2')).body.channels).toEqual([
      { channel: 'rooms.2', pattern: 'rooms.:room', subscribers: 1, nodes: 1, members: 1 },
    ]);
    expect((await app.get('channels/one?channel=rooms.1')).body).toMatchObject({
      subscribers: 3,
      members: 3,
      position: { seq: 0 },
    });
    const members = (await app.get('channels/members?channel=rooms.1&limit=1')).body;
    expect(members).toMatchObject({ members: [{ id: 'ada' }], count: 3, more: expect.any(String) });
    expect((await app.get('channels/one?channel=rooms.9')).body).toMatchObject({ subscribers: 0, nodes: 0 });
    expect((await app.get('nodes')).body).toMatchObject({
      nodes: [{ sessions: 4, channels: 2, draining: false, started: true, broker: 'up' }],
      missing: [],
    });
  });

  it('publishes a batch in its order, once however often it is sent, with a result for each event', async () => {
    app = await startAdmin(platform);
    const client = await join('ada', 'rooms.1');
    const event = (id: string, payload: unknown, channel = 'rooms.1') => ({
      channel,
      event: 'said',
      id,
      payload,
    });
    const events = [event('a', 1), event('b', 2), event('c', 3, 'halls.1'), event('a', 4), event('d', 5)];
    const { status, body } = await app.post('publish/batch', { events });
    expect(status).toBe(200);
    expect(body.failed).toBe(2);
    expect(body.results).toMatchObject([
      { ok: true, seq: 1, duplicate: false },
      { ok: true, seq: 2, duplicate: false },
      { ok: false, error: { code: 'unknown_channel' } },
      { ok: false, error: { code: 'conflict' } },
      { ok: true, seq: 3, duplicate: false },
    ]);
    const again = (await app.post('publish/batch', { events })).body;
    expect(again.results).toMatchObject([
      { seq: 1, duplicate: true },
      { seq: 2, duplicate: true },
      { ok: false },
      { ok: false },
      { seq: 3, duplicate: true },
    ]);
    await until(
      'the client to receive it',
      () => client.received.filter(({ type }) => type === 'event').length === 3,
    );
    const history = (await app.get('channels/history?channel=rooms.1&limit=2&reverse=true')).body;
    expect(history.events.map(({ payload }: { payload: number }) => payload)).toEqual([5, 2]);
    expect(history.more).toBe(true);
  });

  it('appends nothing of a batch of which one event is wrong', async () => {
    app = await startAdmin(platform);
    const good = { channel: 'rooms.1', event: 'said', id: 'a' };
    const { status, body } = await app.post('publish/batch', { events: [good, { ...good, id: '' }] });
    expect([status, body.error.details]).toEqual([
      400,
      [{ path: 'events.1.id', message: 'must be a string of 1 to 64 characters' }],
    ]);
    expect((await app.get('channels/history?channel=rooms.1')).body.events).toEqual([]);
    const many = (length: number) => ({
      events: Array.from({ length }, (_, n) => ({ ...good, id: `i${n}` })),
    });
    expect((await app.post('publish/batch', many(257))).status).toBe(400);
    expect((await app.post('publish/batch', many(0))).status).toBe(400);
    expect((await app.post('publish/batch', many(256))).body).toMatchObject({ failed: 0 });
  });

  it('disconnects, bans and revokes, names who did it in the log, and does it again without harm', async () => {
    app = await startAdmin(platform);
    const ada = await join('ada', 'rooms.1');
    await app.post('revoke', { user: 'ada', channel: 'rooms.1' });
    await until('the client to receive it', () => ada.received.some(({ type }) => type === 'unsubscribed'));
    for (let time = 0; time < 2; time++) {
      const { status, body } = await app.post('ban', { user: 'ada', for: '1h', reason: 'spam' }, 'moderate');
      expect([status, body.missing, body.confirmed.length]).toEqual([200, [], 1]);
    }
    await ada.expectClose(4803);
    expect(app.logger.text).toContain('ban of user "ada" by "staff:moderate": "spam"');
    for (let time = 0; time < 2; time++) expect((await app.post('unban', { user: 'ada' })).status).toBe(200);
    const again = await app.connect('ada');
    const bob = await app.connect('bob');
    const { sessions } = (await app.get('connections?user=ada')).body;
    await app.post('connections/disconnect', { session: sessions[0].id });
    await again.expectClose(4811);
    await app.post('connections/disconnect-all', { address: '127.0.0.1' });
    await bob.expectClose(4811);
  });

  it('refuses input that is misspelt, repeated, or of another type, with its path and what it must be', async () => {
    app = await startAdmin(platform);
    const refusals: [string, string, string][] = [
      ['connections?usr=ada', 'usr', 'use one of: user, channel'],
      ['connections?user=ada&user=bob', 'user', 'once'],
      ['connections?user[x]=ada', 'user[x]', 'not known'],
      ['connections?limit=0', 'limit', 'from 1 to 1000'],
      ['connections?limit=1001', 'limit', 'from 1 to 1000'],
      ['connections?limit=1e2', 'limit', 'whole'],
      ['connections?user=', 'user', 'must be'],
      ['connections?address=nowhere', 'address', 'IP'],
      ['channels/one?channel=rooms.:room', 'channel', 'patterns are not taken'],
      ['channels/one?channel=a..b', 'channel', 'must be'],
      ['channels/one?channel=%00', 'channel', 'must be'],
      ['channels/one?__proto__=1&channel=rooms.1', '__proto__', 'not known'],
      ['channels/one', 'channel', 'required'],
      ['channels/history?channel=rooms.1&reverse=1', 'reverse', 'true or false'],
      ['limits?x=1', 'x', 'not known'],
    ];
    for (const [path, at, says] of refusals) {
      const { status, body } = await app.get(path);
      expect([path, status, body.error.code]).toEqual([path, 400, 'bad_request']);
      expect(body.error.details[0]).toEqual({ path: at, message: expect.stringContaining(says) });
    }
    for (const [body, at] of [
      [{ user: 'ada', fro: '1h' }, 'fro'],
      [{ user: 7 }, 'user'],
      [{ user: 'ada', for: 0 }, 'for'],
      [{ user: 'ada', for: '1 hour' }, 'for'],
      [{ user: 'ada', for: -1 }, 'for'],
      [{ user: 'ada', reason: '' }, 'reason'],
      ['{"user":"ada","__proto__":{"for":1}}', '__proto__'],
      [{}, 'user|session|address'],
    ] as const) {
      const answer = await app.post('ban', body);
      // Fastify itself refuses what would change prototypes.
      expect(answer.status).toBe(400);
      if (at !== '__proto__') expect(answer.body.error.details[0].path).toBe(at);
    }
    for (const body of [{}, { user: 'ada', session: 's' }]) {
      const { body: answer } = await app.post('connections/disconnect', body);
      expect(answer.error.message).toContain('exactly one of: session, user');
    }
    expect((await app.post('ban', [])).status).toBe(400);
    expect((await app.get('channels?cursor=%21')).body.error.message).toContain('cursor');
    expect((await app.get('channels/one?channel=halls.1')).body.error.code).toBe('unknown_channel');
    expect((await app.get('channels/one?channel=halls.1')).status).toBe(404);
  });

  it('mutes, slows down, lists what is in force, lifts it, erases, and has all of it in the audit with who did it', async () => {
    app = await startAdmin(platform);
    const ada = await join('ada', 'rooms.1');
    const say = (payload: unknown) =>
      ada.call({ type: 'publish', channel: 'rooms.1', event: 'said', payload });
    await say('first');
    await app.post('mute', { user: 'ada', channel: 'rooms.1', for: '1h' }, 'moderate');
    expect(await say('second')).toMatchObject({ payload: { code: 'muted' } });
    const muted = (await app.get('restrictions?user=ada', 'read')).body;
    expect(muted.restrictions).toMatchObject([
      { act: 'mute', whom: { of: 'user', id: 'ada' }, channel: 'rooms.1', by: 'staff:moderate' },
    ]);
    expect(muted.restrictions[0].forMs).toBeGreaterThan(3_000_000);
    for (let time = 0; time < 2; time++)
      expect((await app.post('unmute', { user: 'ada', channel: 'rooms.1' })).status).toBe(200);
    await app.post('slow', { channel: 'rooms.1', every: '1h' });
    await say('third');
    expect(await say('fourth')).toMatchObject({ payload: { code: 'muted', reason: 'slow_mode' } });
    await app.post('slow/end', { channel: 'rooms.1' });
    expect((await app.get('restrictions')).body).toEqual({ restrictions: [] });
    expect((await app.post('erase', { channel: 'rooms.1', user: 'ada' })).body.erased).toEqual([1, 2]);
    const { events } = (await app.get('channels/history?channel=rooms.1')).body;
    expect(events.map(({ event }: { event: string }) => event)).toEqual(['$erased', '$erased', '$erased']);
    await app.post('ban', { address: '127.0.0.1', channel: 'rooms.:room', for: '1h' });
    await until('the end of the subscription', () =>
      ada.received.some(({ type }) => type === 'unsubscribed'),
    );
    const left = (await app.post('unban', { address: '127.0.0.1', channel: 'rooms.1' })).body;
    expect(left.remains).toMatchObject([{ act: 'ban', channel: 'rooms.:room', whom: { of: 'address' } }]);
    const lifted = (await app.post('unban', { address: '127.0.0.1', channel: 'rooms.:room' })).body;
    expect(lifted).toMatchObject({ missing: [], remains: [] });
    await app.post('kick', { user: 'ada', channel: 'rooms.1', for: '5m', reason: 'enough' });
    await app.post('kick', { user: 'eve', channel: 'rooms.1' }, 'read');
    const { entries } = (await app.get('audit?limit=50')).body;
    const acts = entries.map(({ act, by, result }: { act: string; by: string; result: string }) => [
      act,
      by,
      result,
    ]);
    expect(acts.filter(([, by]: string[]) => by !== undefined)).toEqual([
      ['authorize', 'staff:read', 'refused'],
      ['kick', 'staff:administer', 'applied'],
      ['unban', 'staff:administer', 'applied'],
      ['unban', 'staff:administer', 'applied'],
      ['ban', 'staff:administer', 'applied'],
      ['read_history', 'staff:administer', 'applied'],
      ['erase', 'staff:administer', 'applied'],
      ['end_slow', 'staff:administer', 'applied'],
      ['slow', 'staff:administer', 'applied'],
      ['unmute', 'staff:administer', 'applied'],
      ['unmute', 'staff:administer', 'applied'],
      ['mute', 'staff:moderate', 'applied'],
    ]);
    const refused = (await app.get('audit?result=refused&by=staff:read')).body.entries;
    expect(refused).toMatchObject([{ error: 'forbidden', data: { route: 'kick', authority: 'moderate' } }]);
    const page = (await app.get('audit?act=kick&limit=1')).body;
    expect(page.entries).toMatchObject([
      { act: 'kick', whom: { id: 'ada' }, channel: 'rooms.1', reason: 'enough', data: { forMs: 300_000 } },
    ]);
    const next = (await app.get(`audit?act=ban&limit=1&cursor=${page.more}`)).body.entries;
    expect(next).toMatchObject([{ act: 'ban', whom: { of: 'address', id: '127.0.0.1' } }]);
  });

  it('takes only JSON that says so, and no more than a bounded body', async () => {
    app = await startAdmin(platform);
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json-seq']) {
      const { status } = await app.post('ban', 'user=ada', 'administer', type);
      expect([type, [400, 415].includes(status)]).toEqual([type, true]);
    }
    expect(
      (await app.post('ban', { user: 'ada' }, 'administer', 'application/json; charset=utf-8')).status,
    ).toBe(200);
    const large = { channel: 'rooms.1', event: 'said', payload: 'x'.repeat(MAX_BODY_BYTES) };
    expect((await app.post('publish', large)).status).toBe(413);
    expect((await app.get('connections?user=ada')).body.sessions).toEqual([]);
  });

  it('works with a prefix, versions, and global pipes and interceptors of the application', async () => {
    app = await startAdmin(platform, {
      at: '/api/internal/realtime',
      path: 'internal/realtime',
      configure: (nest: INestApplication) =>
        nest
          .setGlobalPrefix('api')
          .enableVersioning({ type: VersioningType.URI, defaultVersion: '1' })
          .useGlobalPipes(
            new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true }),
          )
          .useGlobalInterceptors({
            intercept: (_context, next) => next.handle().pipe(map((data) => ({ data }))),
          }),
    });
    expect((await app.get('connections?limit=5')).body).toEqual({ sessions: [], missing: [] });
    expect((await app.post('publish', { channel: 'rooms.1', event: 'said', payload: 1 })).body).toMatchObject(
      {
        seq: 1,
      },
    );
    expect((await app.get('connections?limit=5', 'nobody')).body.error.code).toBe('forbidden');
  });
});
