import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket } from 'ws';
import { RealtimeClient, type ChannelEvent, type ChannelHandle } from '../../../lib/client/index.js';
import { createChatApp } from '../../../sample/chat/chat.app.js';
import { chatConfig, type Platform } from '../../../sample/chat/chat.config.js';
import { WireClient } from '../../support/wire/client.js';

interface Login {
  readonly user: { readonly id: string; readonly name: string };
  readonly token: string;
}

interface Room {
  readonly id: string;
  readonly title: string;
  readonly owner?: string;
}

/** A client and the sockets under it, which a test can cut. */
interface Person {
  readonly client: RealtimeClient;
  readonly sockets: WebSocket[];
}

const PASSWORD = 'correct horse';
const MINUTE_MS = 60_000;
const PLATFORMS: readonly Platform[] = ['express', 'fastify'];

describe.each(PLATFORMS)('the sample chat on %s', (platform) => {
  let app: INestApplication;
  let port: number;
  let url: string;
  let people: Person[] = [];
  let wires: WireClient[] = [];
  let titles = 0;

  beforeAll(async () => {
    const config = chatConfig({ MODERATOR_PASSWORD: PASSWORD });
    app = await createChatApp({ platform, config }, { logger: false });
    await app.listen(0, '127.0.0.1');
    ({ port } = (app.getHttpServer() as Server).address() as AddressInfo);
    url = `http://127.0.0.1:${port}`;
  });

  afterEach(async () => {
    for (const wire of wires) wire.terminate();
    await Promise.all(people.map(({ client }) => client.close()));
    [people, wires] = [[], []];
  });

  afterAll(() => app?.close());

  function post(path: string, body: unknown): Promise<Response> {
    const headers = { 'content-type': 'application/json' };
    return fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  async function logIn(name: string): Promise<Login> {
    const password = name === 'Moderator' ? { password: PASSWORD } : {};
    return (await (await post('/login', { name, ...password })).json()) as Login;
  }

  /** Asks the admin API. A body makes it an act. */
  async function admin(path: string, token: string, body?: object) {
    const response = await fetch(`${url}/realtime-admin/${path}`, {
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as unknown };
  }

  function person(name: string): Person {
    const sockets: WebSocket[] = [];
    class Kept extends WebSocket {
      constructor(address: string, protocols: string[]) {
        super(address, protocols);
        sockets.push(this);
      }
    }
    const client = new RealtimeClient(`${url}/realtime`, {
      token: async () => (await logIn(name)).token,
      webSocket: Kept,
      random: () => 0,
    });
    const made = { client, sockets };
    people.push(made);
    return made;
  }

  async function wire(name: string): Promise<WireClient> {
    const client = await WireClient.open(`ws://127.0.0.1:${port}/realtime`, { name });
    wires.push(client);
    await client.hello((await logIn(name)).token);
    return client;
  }

  /** A room of Ada's. */
  async function room(ada: Person): Promise<string> {
    const lobby = ada.client.channel('lobby');
    await lobby.subscribe();
    const { id } = await lobby.request<Room>('create', { title: `Room ${++titles}` });
    return `rooms.${id}`;
  }

  /** Keeps the texts of a room in the order in which its handlers were given them. */
  function textsOf(channel: ChannelHandle): string[] {
    const texts: string[] = [];
    channel.on<{ text: string }>('message.created', ({ text }) => texts.push(text));
    return texts;
  }

  const told = <Value>(register: (resolve: (value: Value) => void) => unknown): Promise<Value> =>
    new Promise((resolve) => register(resolve));

  it('every answer has the policy of the page: files, JSON, errors, and the probe', async () => {
    const answers = await Promise.all([
      fetch(`${url}/`),
      fetch(`${url}/assets/page/style.css`),
      fetch(`${url}/nowhere`),
      fetch(`${url}/realtime`),
      fetch(`${url}/health`),
      post('/login', { name: 'ada' }),
      post('/login', { name: '<' }),
    ]);
    for (const { url: asked, headers } of answers) {
      expect([asked, headers.get('content-security-policy')]).toEqual([
        asked,
        expect.stringMatching(/^default-src 'none'.*frame-ancestors 'none'/),
      ]);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    }
  });

  it('only the names of this machine are served', async () => {
    const refused = await WireClient.refused(`ws://127.0.0.1:${port}/realtime`, {
      headers: { Host: 'evil.net' },
    });
    expect(refused.status).toBe(403);
  });

  it('issues a short-lived token for a name, and explains why a name is invalid', async () => {
    const response = await post('/login', { name: '  ada   lovelace ' });
    expect(response.status).toBe(200);
    const { user, token } = (await response.json()) as Login;
    expect(user).toEqual({ id: 'ada lovelace', name: 'Ada Lovelace' });
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<
      string,
      number
    >;
    expect(claims).toMatchObject({ sub: 'ada lovelace', name: 'Ada Lovelace' });
    expect((claims['exp'] ?? 0) - (claims['iat'] ?? 0)).toBe(600);
    for (const name of ['', '  ', '<b>', 'x'.repeat(25), 7, null, ['ada']]) {
      const refused = await post('/login', { name });
      expect({ name, status: refused.status }).toEqual({ name, status: 400 });
      expect(await refused.json()).toMatchObject({ message: [expect.stringMatching(/^name must be/)] });
    }
  });

  it('lists the rooms, and announces new rooms', async () => {
    const [ada, grace] = [person('Ada'), person('Grace')];
    const lobby = grace.client.channel('lobby');
    const created = told<Room>((resolve) => lobby.on<Room>('room.created', resolve));
    const { snapshot } = await lobby.subscribe();
    expect(snapshot).toMatchObject({ rooms: expect.arrayContaining([{ id: 'lounge', title: 'Lounge' }]) });
    const own = ada.client.channel('lobby');
    await own.subscribe();
    const made = await own.request<Room>('create', { title: ` Tea & biscuits (${platform}) ` });
    expect(made).toEqual({
      id: `tea-biscuits-${platform}`,
      title: `Tea & biscuits (${platform})`,
      owner: 'ada',
    });
    expect(await created).toEqual(made);
    const second = await own.request<Room>('create', { title: `Tea Biscuits ${platform}` });
    expect(second.id).toBe(`tea-biscuits-${platform}-2`);
    await expect(own.request('create', { title: ' ' })).rejects.toMatchObject({
      code: 'validation_failed',
      details: [{ path: 'title', message: 'title must have 1 to 40 characters' }],
    });
  });

  it('sets the author of a message, whatever the client claims', async () => {
    const ada = person('Ada');
    const channel = ada.client.channel(await room(ada));
    const event = told<ChannelEvent>((resolve) => channel.on('*', (_, received) => resolve(received)));
    const { snapshot } = await channel.subscribe();
    expect(snapshot).toMatchObject({ title: `Room ${titles}`, owner: 'ada', muted: [], slowMs: 0 });
    const { seq } = await channel.publish('message.created', {
      text: ' Hello ',
      author: 'grace',
      name: 'Grace',
    });
    expect(await event).toMatchObject({
      seq,
      user: 'ada',
      payload: { text: 'Hello', author: 'ada', name: 'Ada' },
    });
  });

  it('refuses invalid messages, and events that clients may not publish', async () => {
    const ada = person('Ada');
    const channel = ada.client.channel(await room(ada));
    await channel.subscribe();
    for (const text of ['', '   ', 'x'.repeat(501)]) {
      await expect(channel.publish('message.created', { text })).rejects.toMatchObject({
        code: 'validation_failed',
        details: [{ path: 'text', message: 'text must have 1 to 500 characters' }],
      });
    }
    await expect(channel.publish('message.created', { text: 7 })).rejects.toMatchObject({
      code: 'validation_failed',
    });
    await expect(channel.publish('message.deleted', { seq: 1 })).rejects.toMatchObject({
      code: 'forbidden',
    });
    await expect(channel.signal('shouting')).rejects.toMatchObject({ code: 'forbidden' });
    const nowhere = ada.client.channel('rooms.nowhere');
    await expect(nowhere.subscribe()).rejects.toMatchObject({
      code: 'refused',
      reason: 'no_such_room',
    });
    expect((await channel.history()).events).toEqual([]);
  });

  it('sends a client that was cut off every missed event once and in order (G3)', async () => {
    const [ada, grace] = [person('Ada'), person('Grace')];
    const name = await room(ada);
    const [hers, others] = [ada.client.channel(name), grace.client.channel(name)];
    const texts = textsOf(hers);
    await Promise.all([hers.subscribe(), others.subscribe()]);
    const first = told((resolve) => hers.on('message.created', resolve));
    await others.publish('message.created', { text: 'before' });
    await first;
    const [waiting, resumed] = [
      told<unknown>((resolve) =>
        ada.client.on('state', (status) => status.state === 'waiting' && resolve(status)),
      ),
      told((resolve) => hers.on('resumed', resolve)),
    ];
    ada.sockets.at(-1)?.terminate();
    await waiting;
    const own = hers.publish('message.created', { text: 'written meanwhile' });
    for (const text of ['one', 'two', 'three']) await others.publish('message.created', { text });
    await resumed;
    await expect(own).resolves.toMatchObject({ duplicate: false });
    const last = told((resolve) => hers.on('message.created', resolve));
    await others.publish('message.created', { text: 'after' });
    await last;
    expect(texts.filter((text) => text !== 'written meanwhile')).toEqual([
      'before',
      'one',
      'two',
      'three',
      'after',
    ]);
    expect(texts.filter((text) => text === 'written meanwhile')).toHaveLength(1);
  });

  it('counts several devices of a user as one member (G19)', async () => {
    const [ada, phone, grace] = [person('Ada'), person('ADA'), await wire('Grace')];
    const name = await room(ada);
    await ada.client.channel(name).subscribe();
    await phone.client.channel(name).subscribe();
    const answer = await grace.subscribe(name);
    expect(answer['presence']).toMatchObject({
      count: 2,
      members: expect.arrayContaining([expect.objectContaining({ id: 'ada', devices: 2 })]),
    });
    await phone.client.close();
    const { payload } = await grace.take({ type: 'presence', channel: name });
    expect(payload).toMatchObject({ join: [], leave: [], update: [{ id: 'ada', devices: 1 }] });
  });

  it('signals who is typing', async () => {
    const [ada, grace] = [person('Ada'), await wire('Grace')];
    const name = await room(ada);
    await grace.subscribe(name);
    await ada.client.channel(name).subscribe();
    await expect(ada.client.channel(name).signal('typing')).resolves.toBe(true);
    expect(await grace.take({ type: 'signal' })).toMatchObject({
      channel: name,
      event: 'typing',
      user: 'ada',
    });
  });

  it('lets the owner remove a user, who gets the reason, no more events and no new subscription (G11)', async () => {
    const [ada, grace] = [person('Ada'), await wire('Grace')];
    const name = await room(ada);
    const channel = ada.client.channel(name);
    await channel.subscribe();
    await grace.subscribe('$user.grace');
    await grace.subscribe(name, { presence: false });
    await channel.request('kick', { user: 'grace' });
    const ended = await grace.take({ type: 'unsubscribed', channel: name });
    expect(ended.payload).toMatchObject({ code: 'banned', retryAfterMs: expect.any(Number) });
    expect(await grace.take({ type: 'event', event: 'removed' })).toMatchObject({
      channel: '$user.grace',
      payload: { room: name.slice('rooms.'.length), title: `Room ${titles}`, by: 'ada' },
    });
    await channel.publish('message.created', { text: 'Peace' });
    const refused = await grace.error({ type: 'subscribe', channel: name, payload: {} });
    expect(refused.code).toBe('banned');
    expect(Math.ceil(Number(refused.retryAfterMs) / MINUTE_MS)).toBe(5);
    const said = {
      type: 'publish',
      channel: name,
      event: 'message.created',
      payload: { text: 'I am still here' },
    };
    await expect(grace.error(said)).resolves.toMatchObject({ code: 'banned' });
    expect(grace.received.filter(({ event }) => event === 'message.created')).toEqual([]);
    const { events } = await channel.history();
    expect(events.map(({ event }) => event)).toEqual(['member.kicked', 'message.created']);
  });

  it('lets the owner ban a user from the room for a day', async () => {
    const [ada, grace] = [person('Ada'), await wire('Grace')];
    const name = await room(ada);
    const channel = ada.client.channel(name);
    await channel.subscribe();
    await grace.subscribe(name, { presence: false });
    await channel.request('ban', { user: 'grace' });
    expect((await grace.take({ type: 'unsubscribed', channel: name })).payload).toMatchObject({
      code: 'banned',
    });
    const refused = await grace.error({ type: 'subscribe', channel: name, payload: {} });
    expect(Math.ceil(Number(refused.retryAfterMs) / MINUTE_MS)).toBe(24 * 60);
    // Only from this room.
    await grace.subscribe('rooms.lounge', { presence: false });
    expect((await channel.history()).events.map(({ event }) => event)).toEqual(['member.banned']);
  });

  it('lets the owner mute and unmute a user', async () => {
    const [ada, grace] = [person('Ada'), person('Grace')];
    const name = await room(ada);
    const [hers, others] = [ada.client.channel(name), grace.client.channel(name)];
    await Promise.all([hers.subscribe(), others.subscribe()]);
    await hers.request('mute', { user: 'grace', muted: true });
    const refused: unknown = await others
      .publish('message.created', { text: 'but' })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'muted' });
    expect(Math.ceil(Number((refused as { retryAfterMs: number }).retryAfterMs) / MINUTE_MS)).toBe(10);
    await expect(others.signal('typing')).rejects.toMatchObject({ code: 'muted' });
    const { snapshot } = await person('Linus').client.channel(name).subscribe();
    const { muted } = snapshot as { muted: { user: string; forMs: number }[] };
    expect(muted.map(({ user, forMs }) => [user, Math.ceil(forMs / MINUTE_MS)])).toEqual([['grace', 10]]);
    await hers.request('mute', { user: 'grace', muted: false });
    await expect(others.publish('message.created', { text: 'thanks' })).resolves.toMatchObject({
      duplicate: false,
    });
    const { events } = await hers.history();
    expect(events.map(({ event, payload }) => [event, payload]).slice(0, 2)).toEqual([
      ['member.muted', { user: 'grace', forMs: 10 * MINUTE_MS, by: 'ada' }],
      ['member.unmuted', { user: 'grace', by: 'ada' }],
    ]);
  });

  it('lets the owner slow a room, which leaves the moderator alone', async () => {
    const [ada, grace, moderator] = [person('Ada'), person('Grace'), person('Moderator')];
    const name = await room(ada);
    const [hers, others, staff] = [ada, grace, moderator].map(({ client }) => client.channel(name)) as [
      ChannelHandle,
      ChannelHandle,
      ChannelHandle,
    ];
    await Promise.all([hers.subscribe(), others.subscribe(), staff.subscribe()]);
    await expect(others.request('slow', { everyMs: 60_000 })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(hers.request('slow', { everyMs: 1 })).rejects.toMatchObject({ code: 'validation_failed' });
    await hers.request('slow', { everyMs: 60_000 });
    const say = (channel: ChannelHandle, text: string) => channel.publish('message.created', { text });
    await say(others, 'one');
    await expect(say(others, 'two')).rejects.toMatchObject({ code: 'muted', reason: 'slow_mode' });
    for (const text of ['one', 'two']) await say(staff, text);
    expect((await person('Linus').client.channel(name).subscribe()).snapshot).toMatchObject({
      slowMs: 60_000,
    });
    await hers.request('slow', { everyMs: 0 });
    await say(others, 'three');
  });

  it('asks the moderator for a password, and lets the moderator moderate every room', async () => {
    for (const body of [{}, { password: 'wrong horse' }, { password: '' }])
      for (const name of ['moderator', ' Moderator '])
        expect((await post('/login', { name, ...body })).status).toBeGreaterThanOrEqual(400);
    const { user } = await logIn('Moderator');
    expect(user).toEqual({ id: 'moderator', name: 'Moderator', role: 'moderator' });
    const [moderator, grace, ada] = [person('Moderator'), person('Grace'), person('Ada')];
    const lounge = moderator.client.channel('rooms.lounge');
    await lounge.subscribe();
    const others = grace.client.channel('rooms.lounge');
    await others.subscribe();
    await lounge.request('mute', { user: 'grace', muted: true });
    await expect(others.publish('message.created', { text: 'but' })).rejects.toMatchObject({ code: 'muted' });
    await lounge.request('mute', { user: 'grace', muted: false });
    // Not even the owner of a room moderates the moderator.
    const name = await room(ada);
    const hers = ada.client.channel(name);
    await hers.subscribe();
    for (const act of ['kick', 'ban'])
      await expect(hers.request(act, { user: 'moderator' })).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('serves the admin API to the moderator only, and both audit who did it', async () => {
    const [ada, linus] = [person('Ada'), person('Linus')];
    const name = await room(ada);
    const [hers, others] = [ada.client.channel(name), linus.client.channel(name)];
    await Promise.all([hers.subscribe(), others.subscribe()]);
    const mute = { user: 'linus', channel: name, for: '1h' };
    for (const [token, status] of [
      ['', 401],
      ['forged', 401],
      [(await logIn('Ada')).token, 403],
    ] as const) {
      expect(await admin('mute', token, mute)).toMatchObject({ status });
      expect(await admin('connections', token)).toMatchObject({ status });
    }
    await others.publish('message.created', { text: 'still heard' });
    const { token } = await logIn('Moderator');
    expect(await admin('mute', token, mute)).toMatchObject({ status: 200, body: { missing: [] } });
    await expect(others.publish('message.created', { text: 'but' })).rejects.toMatchObject({ code: 'muted' });
    await hers.request('mute', { user: 'linus', muted: false });
    await others.publish('message.created', { text: 'heard again' });
    const { body } = await admin(`audit?channel=${name}`, token);
    const { entries } = body as { entries: { act: string; by: string; result: string }[] };
    expect(entries.map(({ act, by, result }) => [act, by, result])).toEqual([
      ['unmute', 'ada', 'applied'],
      ['mute', 'moderator', 'applied'],
    ]);
  });

  it('lets only the owner moderate, and only after a subscribe (G10)', async () => {
    const [ada, grace] = [person('Ada'), person('Grace')];
    const name = await room(ada);
    await ada.client.channel(name).subscribe();
    const channel = grace.client.channel(name);
    await expect(channel.request('kick', { user: 'ada' })).rejects.toMatchObject({ code: 'not_subscribed' });
    await channel.subscribe();
    await expect(channel.request('kick', { user: 'ada' })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(channel.request('mute', { user: 'ada', muted: true })).rejects.toMatchObject({
      code: 'forbidden',
    });
    await expect(ada.client.channel(name).request('kick', { user: 'ada' })).rejects.toMatchObject({
      code: 'forbidden',
    });
    await expect(ada.client.channel(name).request('kick', {})).rejects.toMatchObject({
      code: 'validation_failed',
    });
    const lounge = grace.client.channel('rooms.lounge');
    await lounge.subscribe();
    await expect(lounge.request('kick', { user: 'ada' })).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('lets only the author and the owner delete a message', async () => {
    const [ada, grace, linus] = [person('Ada'), person('Grace'), person('Linus')];
    const name = await room(ada);
    const channels = [ada, grace, linus].map(({ client }) => client.channel(name)) as [
      ChannelHandle,
      ChannelHandle,
      ChannelHandle,
    ];
    const [owner, author, stranger] = channels;
    await Promise.all(channels.map((channel) => channel.subscribe()));
    const one = await author.publish('message.created', { text: 'one' });
    const two = await author.publish('message.created', { text: 'two' });
    const reference = ({ epoch, seq }: { epoch: string; seq: number }) => ({ epoch, seq });
    await expect(stranger.request('delete', reference(one))).rejects.toMatchObject({ code: 'forbidden' });
    const notice = told<unknown>((resolve) => stranger.on('$erased', resolve));
    await author.request('delete', reference(one));
    expect(await notice).toEqual({ seqs: [1] });
    await owner.request('delete', reference(two));
    // Erased, never there, of another log.
    for (const none of [reference(one), { ...reference(one), seq: 99 }, { epoch: 'other', seq: 2 }])
      await expect(owner.request('delete', none)).rejects.toMatchObject({ code: 'bad_request' });
    const { events } = await owner.history();
    expect(events.map(({ event, payload, user }) => [event, payload, user])).toEqual([
      ['$erased', { seqs: [1] }, undefined],
      ['$erased', { seqs: [2] }, undefined],
      ['$erased', { seqs: [1] }, undefined],
      ['$erased', { seqs: [2] }, undefined],
    ]);
    const { token } = await logIn('Moderator');
    expect((await admin(`audit?channel=${name}`, token)).body).toMatchObject({
      entries: [
        { act: 'erase', by: 'ada' },
        { act: 'erase', by: 'grace' },
      ],
    });
  });

  it('refuses clients without a token, and pages of another origin', async () => {
    const anonymous = await WireClient.open(`ws://127.0.0.1:${port}/realtime`);
    wires.push(anonymous);
    anonymous.send({ type: 'hello', id: 'h', payload: { versions: [1] } });
    await anonymous.expectClose(4801);
    const refused = await WireClient.refused(`ws://127.0.0.1:${port}/realtime`, {
      headers: { origin: 'https://evil.example' },
    });
    expect(refused.status).toBe(403);
  });

  it('serves the page with a strict Content-Security-Policy, and no other file', async () => {
    const index = await fetch(url);
    expect(index.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(index.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
    expect(index.headers.get('x-content-type-options')).toBe('nosniff');
    expect((await fetch(`${url}/assets/page/style.css`)).headers.get('content-type')).toBe(
      'text/css; charset=utf-8',
    );
    const others = [
      '/package.json',
      '/assets/package.json',
      '/assets/page/app.ts',
      '/assets/realtime/package.json',
      '/assets/a/b/c/d/e',
    ];
    for (const path of others)
      expect({ path, status: (await fetch(`${url}${path}`)).status }).toEqual({ path, status: 404 });
  });
});
