import { describe, expect, it } from '@jest/globals';
import { webhookTarget } from '../../../../lib/hooks/webhooks/webhook-target.js';
import type { WebhookOptions } from '../../../../lib/hooks/webhooks/webhook-options.js';
import { RealtimeBootError } from '../../../../lib/nest/errors/realtime-boot-error.js';

const URL_ = 'https://example.com/hooks';
const secretOf = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`;
const SECRET = secretOf(32);

/** The paths of what is wrong. */
function wrong(options: unknown): readonly string[] {
  try {
    webhookTarget(options as WebhookOptions);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(RealtimeBootError);
    const { problems, message } = error as RealtimeBootError;
    for (const { problem, remedy } of problems) {
      expect(problem).toMatch(/^(is|has|can|holds) .*[.]$/);
      expect(remedy).toMatch(/[.?]$/);
    }
    expect(message).not.toMatch(/hidden/);
    return problems.map(({ path }) => path);
  }
}

describe('the options of a webhook', () => {
  it.each<[string, Partial<Record<keyof WebhookOptions, unknown>>]>([
    ['the least', {}],
    ['plain HTTP on the host itself', { url: 'http://127.0.0.1:3000/hooks' }],
    ['plain HTTP on localhost', { url: 'http://localhost/hooks' }],
    ['plain HTTP in a network that is trusted', { url: 'http://billing.internal/hooks', allowHttp: true }],
    ['the shortest secret', { secret: secretOf(24) }],
    ['the longest secret', { secret: secretOf(64) }],
    ['the longest name', { name: 'n'.repeat(128) }],
    ['several secrets', { secret: undefined, secrets: [SECRET, secretOf(24)] }],
    ['headers', { headers: { 'x-tenant': 'a' } }],
    ['times', { timeout: 100, maxAge: '7d' }],
  ])('may be %s', (_what, options) => {
    expect(wrong({ url: URL_, secret: SECRET, ...options })).toEqual([]);
  });

  it.each<[string, Record<string, unknown>, readonly string[]]>([
    ['no address', { url: undefined }, ['webhookTarget.url']],
    ['a path as address', { url: '/hooks?hidden' }, ['webhookTarget.url']],
    ['plain HTTP to another host', { url: 'http://example.com/hidden' }, ['webhookTarget.url']],
    [
      'plain HTTP to a host that looks like this one',
      { url: 'http://127.0.0.1.example.com' },
      ['webhookTarget.url'],
    ],
    ['another scheme', { url: 'ftp://example.com', allowHttp: true }, ['webhookTarget.url']],
    ['a password in the address', { url: 'https://u:hidden@example.com' }, ['webhookTarget.url']],
    [
      'a text for allowHttp',
      { url: 'http://example.com', allowHttp: 'true' },
      ['webhookTarget.allowHttp', 'webhookTarget.url'],
    ],
    ['an empty name', { name: ' ' }, ['webhookTarget.name']],
    ['a name that is too long', { name: 'n'.repeat(129) }, ['webhookTarget.name']],
    ['a name of two lines', { name: 'a\nb' }, ['webhookTarget.name']],
    ['a name that is no text', { name: 1 }, ['webhookTarget.name']],
    ['no secret', { secret: undefined }, ['webhookTarget.secret']],
    ['an empty secret', { secret: '' }, ['webhookTarget.secret']],
    ['a secret without its prefix', { secret: 'hidden'.repeat(8) }, ['webhookTarget.secret']],
    ['a secret that is short', { secret: secretOf(23) }, ['webhookTarget.secret']],
    ['a secret that is long', { secret: secretOf(65) }, ['webhookTarget.secret']],
    ['a secret that is no base64', { secret: `whsec_${'hidden!'.repeat(8)}` }, ['webhookTarget.secret']],
    ['a secret beside secrets', { secrets: [SECRET] }, ['webhookTarget.secret']],
    ['no secrets', { secret: undefined, secrets: [] }, ['webhookTarget.secrets']],
    ['many secrets', { secret: undefined, secrets: Array(9).fill(SECRET) }, ['webhookTarget.secrets']],
    [
      'secrets of which one is none',
      { secret: undefined, secrets: [SECRET, undefined] },
      ['webhookTarget.secrets[1]'],
    ],
    ['no types', { events: [] }, ['webhookTarget.events']],
    ['a type that is none', { events: ['channel.occupied', 'occupied'] }, ['webhookTarget.events']],
    ['a text for the types', { events: 'channel.occupied' }, ['webhookTarget.events']],
    ['a header of the signature', { headers: { 'Webhook-Id': 'x' } }, ['webhookTarget.headers.Webhook-Id']],
    ['a header of the request', { headers: { 'Content-Type': 'x' } }, ['webhookTarget.headers.Content-Type']],
    ['a header that is none', { headers: { 'a b': 'x' } }, ['webhookTarget.headers.a b']],
    ['a header with a line break', { headers: { a: 'hidden\r\nb: c' } }, ['webhookTarget.headers.a']],
    ['a header that is not set', { headers: { a: undefined } }, ['webhookTarget.headers.a']],
    ['a list of headers', { headers: [['a', 'b']] }, ['webhookTarget.headers']],
    [
      'very many headers',
      { headers: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`x${n}`, 'a'])) },
      ['webhookTarget.headers'],
    ],
    ['a large header', { headers: { a: 'x'.repeat(4_096) } }, ['webhookTarget.headers']],
    ['a short timeout', { timeout: 99 }, ['webhookTarget.timeout']],
    ['a long timeout', { timeout: '61s' }, ['webhookTarget.timeout']],
    ['a timeout that is none', { timeout: 'soon' }, ['webhookTarget.timeout']],
    ['a short age', { maxAge: '999ms' }, ['webhookTarget.maxAge']],
    ['a long age', { maxAge: '8d' }, ['webhookTarget.maxAge']],
    ['a name that is misspelt', { event: [] }, ['webhookTarget.event']],
    ['several mistakes', { url: 1, timeout: -1 }, ['webhookTarget.url', 'webhookTarget.timeout']],
  ])('may not be %s: the error names the option and the remedy, and no secret', (_what, options, paths) => {
    expect(wrong({ url: URL_, secret: SECRET, ...options })).toEqual(paths);
  });

  it.each([undefined, null, 'https://example.com'])('may not be %p instead of an object', (options) => {
    expect(wrong(options)).toEqual(['webhookTarget', 'webhookTarget.url', 'webhookTarget.secret']);
  });

  it('have a name without user and password, as logs and metrics show it (G23)', () => {
    const { name } = webhookTarget({
      url: URL_,
      secret: SECRET,
      name: 'https://ada:hunter2@billing.example.com',
    });
    expect(name).toBe('https://***@billing.example.com');
  });
});
