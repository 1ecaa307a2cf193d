import { describe, expect, it } from '@jest/globals';
import { messageOf } from '../../../../lib/hooks/webhooks/message.js';
import { keyOf } from '../../../../lib/hooks/webhooks/secrets.js';
import { verifyWebhook, WebhookVerificationError } from '../../../../lib/hooks/webhooks/verify-webhook.js';
import { occupied } from '../../../support/hooks/fake-target.js';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const OTHER = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;
const NOW = 1_767_225_600_000;
const at = (ms: number) => ({ now: () => NOW + ms });

const keysOf = (...secrets: readonly string[]) => secrets.flatMap((secret) => keyOf(secret) ?? []);
const { body, headers } = messageOf(occupied('e1'), keysOf(SECRET), at(0));

describe('the verification of a webhook', () => {
  it('agrees with the example of the specification', () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const example = {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    };
    const text = '{"test": 2432232314}';
    const options = { clock: { now: () => 1_614_265_330_000 } };
    expect(verifyWebhook(text, example, secret, options).id).toBe('msg_p5jXN8AQM9LWM0D4loKWxJek');
    expect(() => verifyWebhook(`${text} `, example, secret, options)).toThrow(WebhookVerificationError);
  });

  it('takes the body as text or bytes, and headers as a record or as those of fetch', () => {
    const options = { clock: at(0) };
    const expected = {
      id: 'e1',
      type: 'channel.occupied',
      timestamp: '2026-01-01T00:00:00.000Z',
      data: { channel: 'rooms.1' },
    };
    expect(verifyWebhook(body, headers, SECRET, options)).toEqual(expected);
    expect(verifyWebhook(Buffer.from(body), new Headers(headers), [OTHER, SECRET], options)).toEqual(
      expected,
    );
  });

  it('has data of the type that it says, also where both are taken apart', () => {
    const verified = verifyWebhook(body, headers, SECRET, { clock: at(0) });
    const { type, data } = verified;
    const names: string[] = [];
    if (type === 'channel.occupied') names.push(data.channel);
    if (type === 'user.offline') names.push(data.user, data.notice.event);
    // @ts-expect-error: an event of a channel has no user.
    if (verified.type === 'channel.occupied') expect(verified.data.user).toBeUndefined();
    expect(names).toEqual(['rooms.1']);
  });

  it('takes any of several signatures, and ignores what is none', () => {
    const both = messageOf(occupied('e1'), keysOf(OTHER, SECRET), at(0));
    const given = { ...both.headers, 'webhook-signature': `v1a,xx v1, ${both.headers['webhook-signature']}` };
    expect(verifyWebhook(both.body, given, SECRET, { clock: at(0) }).id).toBe('e1');
  });

  it('tolerates five minutes between the hosts, either way, or what is asked for', () => {
    const verify = (ms: number, tolerance?: '1m') =>
      verifyWebhook(body, headers, SECRET, {
        clock: at(ms),
        ...(tolerance === undefined ? {} : { tolerance }),
      }).id;
    for (const ms of [300_000, -300_000]) {
      expect(verify(ms)).toBe('e1');
      expect(() => verify(ms + Math.sign(ms))).toThrow('The time of the request is too far');
    }
    expect(verify(60_000, '1m')).toBe('e1');
    expect(() => verify(60_001, '1m')).toThrow(WebhookVerificationError);
  });

  it.each<[string, Record<string, string | undefined>]>([
    ['no id', { 'webhook-id': undefined }],
    ['another id', { 'webhook-id': 'e2' }],
    ['no time', { 'webhook-timestamp': undefined }],
    ['another time', { 'webhook-timestamp': String(NOW / 1_000 + 1) }],
    ['a time that is none', { 'webhook-timestamp': 'NaN' }],
    ['no signature', { 'webhook-signature': undefined }],
    ['an empty signature', { 'webhook-signature': '' }],
    ['a signature that is cut off', { 'webhook-signature': 'v1,AAAA' }],
    [
      'a signature of another version',
      { 'webhook-signature': `${headers['webhook-signature']}`.replace('v1,', 'v2,') },
    ],
  ])('refuses a request with %s', (_what, changed) => {
    expect(() => verifyWebhook(body, { ...headers, ...changed }, SECRET, { clock: at(0) })).toThrow(
      WebhookVerificationError,
    );
  });

  it('refuses another body, another secret, and a signature behind very many', () => {
    const options = { clock: at(0) };
    const refused = (text: string, secret: string, more: object = {}) =>
      expect(() => verifyWebhook(text, { ...headers, ...more }, secret, options)).toThrow(
        'No signature of the request is right',
      );
    refused(body.replace('rooms.1', 'rooms.2'), SECRET);
    refused(body, OTHER);
    refused(body, SECRET, { 'webhook-signature': `${'v1,x '.repeat(16)}${headers['webhook-signature']}` });
  });

  it.each([
    ['no body', undefined],
    ['null', null as unknown as undefined],
    ['an empty text', ''],
    ['no bytes', new Uint8Array()],
  ])('says of %s what Nest needs for the raw one', (_what, given) => {
    const verify = () => verifyWebhook(given, headers, SECRET, { clock: at(0) });
    expect(verify).toThrow(WebhookVerificationError);
    expect(verify).toThrow('The body is empty: is rawBody: true set in NestFactory.create?');
  });

  it.each([
    ['an object', JSON.parse(body) as unknown],
    ['a list', [1]],
    ['a number', 0],
    ['false', false],
  ])('says of a body that was parsed to %s that it cannot be verified', (_what, given) => {
    const verify = () => verifyWebhook(given as string, headers, SECRET, { clock: at(0) });
    expect(verify).toThrow(TypeError);
    expect(verify).toThrow('req.rawBody, with rawBody: true');
  });

  it('names a secret that is none, whatever came', () => {
    expect(() => verifyWebhook(body, {}, '')).toThrow(RangeError);
    expect(() => verifyWebhook(body, {}, [SECRET, 'x'])).toThrow(
      'verifyWebhook: no secret of a webhook. Give whsec_',
    );
  });
});
