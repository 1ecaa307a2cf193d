import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Webhook as Verifier } from 'standardwebhooks';
import { ThrottledLog } from '../../../../lib/core/async/throttled-log.js';
import { systemClock } from '../../../../lib/core/ports/clock.js';
import { VERSION } from '../../../../lib/core/ports/version.js';
import { TimeLeft } from '../../../../lib/core/async/time-left.js';
import { Deliveries } from '../../../../lib/hooks/deliveries.js';
import type { HookEvent } from '../../../../lib/hooks/hook-event.js';
import { verifyWebhook } from '../../../../lib/hooks/webhooks/verify-webhook.js';
import { Webhook } from '../../../../lib/hooks/webhooks/webhook.js';
import { webhookSettings, type WebhookOptions } from '../../../../lib/hooks/webhooks/webhook-options.js';
import { webhookTarget } from '../../../../lib/hooks/webhooks/webhook-target.js';
import { makeCertificate } from '../../../support/certificate.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../../support/engine/recording-logger.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';
import { occupied, offline } from '../../../support/hooks/fake-target.js';
import { WebhookReceiver } from '../../../support/hooks/webhook-receiver.js';
import { until } from '../../../support/until.js';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const NEW_SECRET = `whsec_${Buffer.alloc(24, 2).toString('base64')}`;

let receiver: WebhookReceiver;
let clock: ManualClock;
let logger: RecordingLogger;
let all: Deliveries[];

beforeEach(async () => {
  receiver = await new WebhookReceiver().start();
  clock = new ManualClock();
  logger = new RecordingLogger();
  all = [];
});
afterEach(async () => {
  for (const deliveries of all) await deliveries.close(new TimeLeft(clock, 60_000));
  await receiver.stop();
});

const make = (options: Partial<WebhookOptions> = {}): Deliveries => {
  const given = { url: receiver.url, secret: SECRET, ...options };
  const target = new Webhook(webhookSettings(given), { clock, fetch });
  const journal = new ThrottledLog(logger, clock);
  // Every pause is as short as can be, so that time moves only where a test means it.
  const deliveries = new Deliveries({ targets: [target], clock, entropy: { random: () => 0 }, journal });
  all.push(deliveries);
  return deliveries;
};
const lines = (text: string) => logger.records.filter(({ message }) => message.includes(text));
const requests = (count: number) => until(`${count} requests`, () => receiver.received.length >= count);
/** The same, while every pause passes. */
const again = (count: number) =>
  until(`${count} requests`, () => {
    clock.advance(0);
    return receiver.received.length >= count;
  });
/** Waits for a failed attempt to be reported, and lets its pause pass. */
const failed = async (text: string) => {
  await until(`a line with ${text}`, () => lines(text).length > 0);
  clock.advance(0);
};

describe('a webhook', () => {
  const verified = (target: { deliver: Webhook['deliver'] }, event: HookEvent) =>
    target.deliver(event, new AbortController().signal);

  it('is a signed request that the library of the specification verifies, and verifyWebhook', async () => {
    await verified(webhookTarget({ url: receiver.url, secret: SECRET }), occupied('evt_1', 'rooms.1'));
    const [request] = receiver.received;
    expect(request).toMatchObject({ method: 'POST', path: '/hooks' });
    expect(request?.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': `nestjs-realtime/${VERSION}`,
      'webhook-id': 'evt_1',
    });
    const { body = '', headers = {} } = request ?? {};
    const expected = {
      type: 'channel.occupied',
      timestamp: '2026-01-01T00:00:00.000Z',
      data: { channel: 'rooms.1' },
    };
    expect(JSON.parse(body)).toEqual(expected);
    expect(new Verifier(SECRET).verify(body, headers as Record<string, string>)).toEqual(expected);
    expect(verifyWebhook(body, headers, SECRET)).toEqual({ id: 'evt_1', ...expected });
    expect(() => new Verifier(NEW_SECRET).verify(body, headers as Record<string, string>)).toThrow();
  });

  it('has a signature of each secret while one replaces another', async () => {
    const target = webhookTarget({
      url: receiver.url,
      secrets: [NEW_SECRET, SECRET],
      events: ['user.offline'],
    });
    await verified(target, offline('o1', 'u1', { text: 'Grüße 👋' }));
    const { body = '', headers = {} } = receiver.received[0] ?? {};
    expect(String(headers['webhook-signature'])).toMatch(/^v1,\S{44} v1,\S{44}$/);
    for (const secret of [SECRET, NEW_SECRET])
      expect(new Verifier(secret).verify(body, headers as Record<string, string>)).toMatchObject({
        data: { user: 'u1', notice: { event: 'notice', id: 'n-o1', payload: { text: 'Grüße 👋' } } },
      });
  });

  it('is named by the origin of its address alone, or as is asked for, and has the types and the times that are asked for', () => {
    const target = (options: Partial<WebhookOptions>) =>
      new Webhook(webhookSettings({ url: receiver.url, secret: SECRET, ...options }), { clock, fetch });
    const { origin } = new URL(receiver.url);
    expect(target({ url: `${origin}/services/T0/secret?token=secret` }).name).toBe(origin);
    expect(target({ name: 'billing' }).name).toBe('billing');
    expect([...target({}).types]).toEqual([
      'channel.occupied',
      'channel.vacated',
      'member.joined',
      'member.left',
    ]);
    expect([...target({ events: ['user.offline'] }).types]).toEqual(['user.offline']);
    expect(target({})).toMatchObject({ timeoutMs: 10_000, maxAgeMs: 3_600_000 });
    expect(target({ timeout: '3s', maxAge: '1d' })).toMatchObject({ timeoutMs: 3_000, maxAgeMs: 86_400_000 });
  });

  it('has a plain id, also for an event whose id cannot be a header, the same each time', async () => {
    const target = webhookTarget({ url: receiver.url, secret: SECRET });
    for (const id of ['a.b', 'zwei\r\nx: y', 'zwei\r\nx: y', 'ü']) await verified(target, occupied(id));
    const ids = receiver.received.map(({ headers }) => String(headers['webhook-id']));
    for (const id of ids) expect(id).toMatch(/^[\w-]{43}$/);
    expect(ids[1]).toBe(ids[2]);
    expect(new Set(ids).size).toBe(3);
  });

  it('has the headers of the application, which change none of its own', async () => {
    const headers = { 'x-tenant': 'a', authorization: 'Bearer t', 'user-agent': 'mine' };
    await verified(webhookTarget({ url: receiver.url, secret: SECRET, headers }), occupied('a'));
    expect(receiver.received[0]?.headers).toMatchObject({ ...headers, 'content-type': 'application/json' });
  });
});

describe('the delivery of webhooks', () => {
  it('uses a connection again, and keeps the order of a channel', async () => {
    const deliveries = make();
    const ids = Array.from({ length: 20 }, (_, index) => `e${index}`);
    await Promise.all(ids.map((id) => deliveries.accept(occupied(id, 'a'))));
    expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toEqual(ids);
    // Not always one: an answer may be there before its connection is free.
    expect(receiver.connections).toBeLessThan(10);
  });

  it('sends the same id and a new time when it tries again', async () => {
    const deliveries = make();
    receiver.answer = (res) => {
      clock.jump(1_000);
      res.writeHead(receiver.received.length < 3 ? 500 : 200).end();
    };
    const accepted = deliveries.accept(occupied('evt_1'));
    await again(3);
    await expect(accepted).resolves.toBe(true);
    const seen = receiver.received.map(({ headers }) => headers);
    expect(seen.map((headers) => headers['webhook-id'])).toEqual(['evt_1', 'evt_1', 'evt_1']);
    expect(new Set(seen.map((headers) => headers['webhook-timestamp'])).size).toBe(3);
    expect(new Set(seen.map((headers) => headers['webhook-signature'])).size).toBe(3);
    expect(lines('it answered with status 500')).toHaveLength(1);
  });

  it('tries again when the address refuses connections, until it is there', async () => {
    const deliveries = make();
    await receiver.stop();
    const accepted = deliveries.accept(occupied('a'));
    await until('a line', () => lines('it could not be reached (ECONNREFUSED)').length > 0);
    await receiver.start();
    clock.advance(0);
    await expect(accepted).resolves.toBe(true);
    expect(receiver.received).toHaveLength(1);
  });

  it('ends an attempt that hangs, and its connection', async () => {
    const deliveries = make({ timeout: '2s' });
    let closed = 0;
    receiver.answer = (res) => void res.once('close', () => closed++);
    const accepted = deliveries.accept(occupied('a'));
    await requests(1);
    clock.advance(1_999);
    await settle();
    expect(logger.records).toEqual([]);
    clock.advance(1);
    await failed('did not answer within 2000 ms');
    await requests(2);
    await until('the end of the first connection', () => closed === 1);
    receiver.answer = undefined;
    clock.advance(2_000);
    clock.advance(0);
    await expect(accepted).resolves.toBe(true);
  });

  it.each<[string, number]>([
    ['taken when its status says so', 200],
    ['tried again when its status says so', 500],
  ])('reads a second of an answer that never ends: the event is %s', async (_what, status) => {
    const deliveries = make();
    receiver.answer = (res) => {
      receiver.answer = undefined;
      res.writeHead(status).write('a');
    };
    const accepted = deliveries.accept(occupied('a'));
    await until('the answer', () => clock.pending === 3);
    clock.advance(1_000);
    if (status === 500) await failed('it answered with status 500');
    await expect(accepted).resolves.toBe(true);
    expect(receiver.received).toHaveLength(status === 200 ? 1 : 2);
  });

  it('reads little of an answer that is large', async () => {
    const deliveries = make();
    let written = 0;
    receiver.answer = (res) => {
      res.writeHead(200);
      const write = (): void => {
        while (!res.destroyed && written < 64 * 1024 * 1024) {
          written += 65_536;
          if (!res.write(Buffer.alloc(65_536))) return void res.once('drain', write);
        }
      };
      write();
    };
    await expect(deliveries.accept(occupied('a'))).resolves.toBe(true);
    // What sockets hold, and no more.
    expect(written).toBeLessThan(16 * 1024 * 1024);
  });

  it.each([301, 302, 303, 307, 308])('does not follow a redirect with status %d', async (status) => {
    const other = await new WebhookReceiver().start();
    const deliveries = make();
    receiver.answer = (res) => {
      receiver.answer = undefined;
      res.writeHead(status, { location: other.url }).end();
    };
    const accepted = deliveries.accept(occupied('a'));
    await failed(`it answered with status ${status}, and redirects are not followed (url)`);
    await expect(accepted).resolves.toBe(true);
    expect(other.received).toEqual([]);
    expect(receiver.received).toHaveLength(2);
    await other.stop();
  });

  it('sends nothing more after 410', async () => {
    const deliveries = make();
    receiver.answer = (res) => res.writeHead(410).end();
    const accepted = ['1', '2'].map((id) => deliveries.accept(occupied(id, 'a')));
    await expect(Promise.all(accepted)).resolves.toEqual([true, true]);
    await expect(deliveries.accept(occupied('3', 'b'))).resolves.toBe(true);
    expect(receiver.received).toHaveLength(1);
    expect(lines('wants no events any more: it answered with status 410')).toHaveLength(1);
  });

  it.each<[string, number, string, number]>([
    ['429 asks for', 429, '30', 30_000],
    ['503 asks for', 503, '30', 30_000],
    ['is the longest that it may ask for', 429, '999999', 600_000],
  ])('waits as long as %s', async (_what, status, after, waitMs) => {
    const deliveries = make();
    receiver.answer = (res) => {
      receiver.answer = undefined;
      res.writeHead(status, { 'retry-after': after }).end();
    };
    const accepted = [deliveries.accept(occupied('1', 'a'))];
    await failed(`it answered with status ${status}`);
    accepted.push(deliveries.accept(occupied('2', 'b')));
    await clock.advanceAsync(waitMs - 1);
    await settle();
    expect(receiver.received).toHaveLength(1);
    clock.advance(1);
    await expect(Promise.all(accepted)).resolves.toEqual([true, true]);
  });

  it.each<[string, number, string]>([
    ['of another status', 500, '30'],
    ['that is a date', 429, 'Thu, 01 Jan 2026 00:10:00 GMT'],
    ['that is no number', 503, '-5'],
  ])('does not honour a Retry-After %s', async (_what, status, after) => {
    const deliveries = make();
    receiver.answer = (res) => {
      receiver.answer = undefined;
      res.writeHead(status, { 'retry-after': after }).end();
    };
    const accepted = deliveries.accept(occupied('1', 'a'));
    await failed(`it answered with status ${status}`);
    await expect(accepted).resolves.toBe(true);
  });

  it('sends nothing to a host whose certificate is not trusted', async () => {
    const tls = await new WebhookReceiver(makeCertificate('localhost')).start();
    const deliveries = make({ url: `${tls.url}?token=hidden`, maxAge: '1s' });
    const accepted = deliveries.accept(occupied('a'));
    await until(
      'a line',
      () => lines(`${new URL(tls.url).origin} failed: it could not be reached (DEPTH_ZERO`).length > 0,
    );
    clock.advance(1_000);
    await settle();
    clock.advance(10_000);
    await expect(accepted).resolves.toBe(true);
    expect(tls.received).toEqual([]);
    expect(lines('was not taken within 1000 ms')).toHaveLength(1);
    expect(JSON.stringify(logger.records)).not.toMatch(/hidden|whsec/);
    await tls.stop();
  });

  it('tries again when a connection breaks before the status, and not when it breaks behind it', async () => {
    const deliveries = make();
    receiver.answer = (res) => {
      const count = receiver.received.length;
      if (count === 1) return void res.socket?.resetAndDestroy();
      if (count === 2) return void res.socket?.end('HTTP/1.1 200 O');
      res.writeHead(200, { 'content-length': '100' });
      res.write('a', () => res.socket?.resetAndDestroy());
    };
    const accepted = deliveries.accept(occupied('a'));
    await failed('it could not be reached');
    await again(3);
    await expect(accepted).resolves.toBe(true);
    expect(receiver.received).toHaveLength(3);
  });

  it('takes every answer of the kind 2xx for a success, and no other', async () => {
    const deliveries = make();
    for (const status of [200, 201, 202, 204, 299]) {
      receiver.answer = (res) => res.writeHead(status).end();
      await expect(deliveries.accept(occupied(`s${status}`))).resolves.toBe(true);
    }
    expect(receiver.received).toHaveLength(5);
    for (const status of [400, 401, 404, 418, 502]) {
      const before = receiver.received.length;
      receiver.answer = (res) => {
        receiver.answer = undefined;
        res.writeHead(status).end();
      };
      const accepted = deliveries.accept(occupied(`f${status}`));
      await again(before + 2);
      await expect(accepted).resolves.toBe(true);
      expect(receiver.received).toHaveLength(before + 2);
    }
  });

  it('gives up what is no JSON, and sends nothing', async () => {
    const deliveries = make({ events: ['user.offline'] });
    await expect(deliveries.accept(offline('a', 'u1', { big: 1n }))).resolves.toBe(true);
    expect(receiver.received).toEqual([]);
    expect(lines('refused it for good: it cannot be written as JSON')).toHaveLength(1);
  });

  it('keeps the order of each channel while every third request fails, and delivers everything', async () => {
    const deliveries = make();
    const entropy = new SeededEntropy(17);
    const taken: Record<string, string[]> = {};
    receiver.answer = (res, { headers, body }) => {
      const { data } = JSON.parse(body) as { data: { channel: string } };
      if (entropy.int(3) === 0) return void (entropy.int(2) === 0 ? res.destroy() : res.writeHead(503).end());
      (taken[data.channel] ??= []).push(String(headers['webhook-id']));
      res.writeHead(204).end();
    };
    const accepted: Promise<boolean>[] = [];
    for (let count = 0; count < 200; count++)
      accepted.push(deliveries.accept(occupied(`e${count}`, `c${count % 5}`)));
    let isDone = false;
    const done = Promise.all(accepted).then(() => (isDone = true));
    await until('all to be taken', () => {
      clock.advance(1_000);
      return isDone;
    });
    await done;
    for (let channel = 0; channel < 5; channel++)
      expect(taken[`c${channel}`]).toEqual(
        Array.from({ length: 40 }, (_, index) => `e${index * 5 + channel}`),
      );
  });

  it('aborts a request that is under way when the node stops', async () => {
    const deliveries = make();
    let closed = 0;
    receiver.answer = (res) => void res.once('close', () => closed++);
    const accepted = deliveries.accept(occupied('a'));
    await requests(1);
    await deliveries.close(new TimeLeft(clock, 60_000));
    await expect(accepted).resolves.toBe(false);
    await until('the end of its connection', () => closed === 1);
    expect(clock.pending).toBe(0);
  });

  it('measures time with the clock of the system where nothing else is given', async () => {
    const before = Math.floor(systemClock.now() / 1_000);
    await webhookTarget({ url: receiver.url, secret: SECRET }).deliver(
      occupied('a'),
      new AbortController().signal,
    );
    const at = Number(receiver.received[0]?.headers['webhook-timestamp']);
    expect(at - before).toBeGreaterThanOrEqual(0);
    expect(at).toBeLessThanOrEqual(systemClock.now() / 1_000);
  });
});
