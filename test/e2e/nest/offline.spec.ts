import type { ServerResponse } from 'node:http';
import { Injectable } from '@nestjs/common';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import webpush, { WebPushError } from 'web-push';
import { memoryBroker, MemoryStore } from '../../../lib/brokers/memory/index.js';
import {
  realtimeHooks,
  verifyWebhook,
  webhookTarget,
  type HookProvider,
  type OfflineHookEvent,
  type RealtimeHooksOptions,
} from '../../../lib/hooks/index.js';
import { RealtimeService } from '../../../lib/nest/index.js';
import { WebhookReceiver } from '../../support/hooks/webhook-receiver.js';
import { until } from '../../support/until.js';
import { PushController, PushHooks, PushSubscriptions } from './recipes/web-push.js';
import { byName, PLATFORMS, startApp, type AppOptions, type TestApp } from './support/nest-app.js';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

const events: OfflineHookEvent[] = [];

@Injectable()
class Notices implements HookProvider {
  onOffline(event: OfflineHookEvent): void {
    events.push(event);
  }
}

const running: TestApp[] = [];
const receivers: WebhookReceiver[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((app) => app.close()));
  await Promise.all(receivers.splice(0).map((receiver) => receiver.stop()));
  events.length = 0;
  jest.restoreAllMocks();
});

async function start(
  store: MemoryStore,
  hooks: RealtimeHooksOptions = { providers: [Notices] },
  more: Partial<AppOptions> = {},
): Promise<TestApp & { readonly realtime: RealtimeService }> {
  const [[, platform]] = PLATFORMS;
  const app = await startApp(platform, {
    providers: [Notices],
    ...more,
    realtime: { auth: byName, broker: memoryBroker({ store }), hooks: realtimeHooks(hooks) },
  });
  running.push(app);
  return Object.assign(app, { realtime: app.app.get(RealtimeService, { strict: false }) });
}

describe('a notice to a user', () => {
  it('calls the hook where the user has no session on any node, and not where there is one', async () => {
    const store = new MemoryStore();
    const [one, two] = [await start(store), await start(store)];
    const [here, there] = [await one.connect('ada'), await two.connect('bob')];
    for (const user of ['ada', 'bob', 'cy'])
      await one.realtime.user(user).publish('notice', { for: user }, { id: 'n1' });
    await until('one event', () => events.length === 1);
    expect(events[0]).toMatchObject({
      type: 'user.offline',
      user: 'cy',
      notice: { event: 'notice', id: 'n1', payload: { for: 'cy' } },
    });
    here.terminate();
    there.terminate();
    await until('both to be offline', async () => (await one.realtime.sessions.count()).count === 0);
    const { duplicate } = await one.realtime.user('cy').publish('notice', { for: 'cy' }, { id: 'n1' });
    expect(duplicate).toBe(true);
    for (const user of ['ada', 'bob']) await one.realtime.user(user).publish('notice', { for: user });
    await until('all events', () => events.length === 4);
    expect(events.map(({ user }) => user)).toEqual(['cy', 'cy', 'ada', 'bob']);
    expect(events[1]?.id).toBe(events[0]?.id);
    expect(new Set(events.map(({ id }) => id)).size).toBe(3);
  });

  it('does not call the hook where it was not published', async () => {
    const app = await start(new MemoryStore());
    await expect(app.realtime.user('ada').publish('', {})).rejects.toMatchObject({ code: 'bad_request' });
    await app.realtime.user('bob').publish('notice', {});
    await until('one event', () => events.length === 1);
    expect(events.map(({ user }) => user)).toEqual(['bob']);
  });

  it('is sent to an address, signed, where that asks for it', async () => {
    const receiver = await new WebhookReceiver().start();
    receivers.push(receiver);
    const target = webhookTarget({ url: receiver.url, secret: SECRET, events: ['user.offline'] });
    const app = await start(new MemoryStore(), { webhooks: [target] });
    await app.realtime.user('cy').publish('notice', { text: 'hello' }, { id: 'n1' });
    await until('one request', () => receiver.received.length === 1);
    const { body = '', headers = {} } = receiver.received[0] ?? {};
    expect(verifyWebhook(body, headers, SECRET)).toMatchObject({
      type: 'user.offline',
      data: { user: 'cy', notice: { event: 'notice', id: 'n1', payload: { text: 'hello' } } },
    });
  });
});

describe('an erased notice', () => {
  it.each([
    ['the node that published it', 0],
    ['another node', 1],
  ])('is not sent again once %s confirmed the erasure, and a later one is (G29)', async (_where, by) => {
    const receiver = await new WebhookReceiver().start();
    receivers.push(receiver);
    const answers: ServerResponse[] = [];
    receiver.answer = (res) => void answers.push(res);
    const store = new MemoryStore();
    const webhooks = [webhookTarget({ url: receiver.url, secret: SECRET, events: ['user.offline'] })];
    const nodes = [await start(store, { webhooks }), await start(store, { webhooks })];
    const bob = nodes[0]?.realtime.user('bob');
    await bob?.publish('dm', { text: 'secret' }, { id: 'n1' });
    await until('one attempt', () => answers.length === 1);
    await bob?.publish('dm', { text: 'waits' }, { id: 'n2' });
    answers[0]?.writeHead(500).end();
    const { confirmed } = (await nodes[by]?.realtime.moderation.erase('$user.bob', { seqs: [1, 2] })) ?? {};
    expect(confirmed).toHaveLength(2);
    await bob?.publish('dm', { text: 'kept' }, { id: 'n3' });
    await until('the later one', () => receiver.received.length === 2);
    expect(receiver.received[1]?.body).toContain('kept');
  });
});

describe('webhooks of a Nest application', () => {
  it('are sent when a channel is occupied and vacated, in order, through failures', async () => {
    const receiver = await new WebhookReceiver().start();
    receivers.push(receiver);
    let failures = 2;
    const taken: unknown[] = [];
    receiver.answer = (res, { body }) => {
      if (failures-- > 0) return void res.writeHead(500).end();
      taken.push((JSON.parse(body) as { type: string }).type);
      res.writeHead(204).end();
    };
    const webhooks = [
      webhookTarget({
        url: receiver.url,
        secret: SECRET,
        events: ['channel.occupied', 'channel.vacated'],
      }),
    ];
    const app = await start(new MemoryStore(), { channels: ['$user.:user'], vacatedAfter: 0, webhooks });
    const client = await app.connect('ada');
    await client.call({ type: 'subscribe', channel: '$user.ada', payload: {} });
    client.terminate();
    await until('two events', () => taken.length === 2);
    expect(taken).toEqual(['channel.occupied', 'channel.vacated']);
  });
});

describe('the recipe for Web Push', () => {
  const device = (name: string) => ({
    endpoint: `https://fcm.googleapis.com/send/${name}`,
    keys: { p256dh: `p-${name}`, auth: `a-${name}` },
  });

  it('sends to each device of a user who is offline, forgets those that have ended, and tries others again', async () => {
    const app = await start(
      new MemoryStore(),
      { providers: [PushHooks] },
      { providers: [PushHooks, PushSubscriptions], controllers: [PushController] },
    );
    const register = (body: object) =>
      fetch(`${app.httpUrl.replace(/\/realtime$/, '')}/push/subscriptions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: 'Bearer ada' },
        body: JSON.stringify(body),
      });
    for (const name of ['phone', 'laptop', 'old', 'phone'])
      expect((await register(device(name))).status).toBe(204);
    for (const endpoint of [
      'https://169.254.169.254/',
      'http://fcm.googleapis.com/x',
      'https://fcm.googleapis.com.evil.example/',
    ])
      expect((await register({ ...device('x'), endpoint })).status).toBe(400);
    const sent: string[] = [];
    let isBusy = true;
    jest.spyOn(webpush, 'sendNotification').mockImplementation(async ({ endpoint }, message) => {
      sent.push(`${endpoint.split('/').at(-1)} ${(JSON.parse(String(message)) as { body: string }).body}`);
      const fail = (status: number) => new WebPushError('refused', status, {}, '', endpoint);
      if (endpoint.endsWith('old')) throw fail(410);
      if (endpoint.endsWith('phone') && isBusy) {
        isBusy = false;
        throw fail(429);
      }
      return { statusCode: 201, body: '', headers: {} };
    });
    await app.realtime.user('ada').publish('notice', { text: 'Your order has left' });
    await until('all attempts', () => sent.length === 5);
    expect(sent.slice(0, 3).sort()).toEqual(
      ['laptop', 'old', 'phone'].map((name) => `${name} Your order has left`),
    );
    expect(sent.slice(3).sort()).toEqual(['laptop', 'phone'].map((name) => `${name} Your order has left`));
    expect(app.app.get(PushSubscriptions).of('ada')).toEqual([device('laptop'), device('phone')]);
  });
});
