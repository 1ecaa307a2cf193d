import { withoutUserinfo } from '../../core/ports/log-text.js';
import { BootProblems } from '../../nest/errors/realtime-boot-error.js';
import { DURATION_HINT, toMilliseconds, type Duration } from '../../nest/options/duration.js';
import { urlProblem } from '../../nest/options/jwt-options.js';
import type { HookEvent } from '../hook-event.js';
import { keyOf, SECRET_HINT } from './secrets.js';

/** Where events are sent, and how they are signed. Exactly one of `secret` and `secrets`. */
export interface WebhookOptions {
  /** Address that takes the events: with `https:`, or with `http:` on the host itself. Redirects are not followed. */
  readonly url: string;
  /** Signs each request: `whsec_` and 24 to 64 random bytes in base64, as the Standard Webhooks specification has it. */
  readonly secret?: string;
  /** The same while one secret replaces another: each request has a signature of each, at most 8. */
  readonly secrets?: readonly string[];
  /**
   * Types that it gets. Default: all but `user.offline`, which carries what was published to the user, and for which each notice asks
   * all nodes for the user.
   */
  readonly events?: readonly HookEvent['type'][];
  /** Headers beside those of the request and of its signature. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How long one attempt may take, at least 100 ms. Default `'10s'`. */
  readonly timeout?: Duration;
  /** Age after which an event is given up, counted from when this node had it. At least a second. Default `'1h'`. */
  readonly maxAge?: Duration;
  /** Whether `url` may be plain `http:` to another host. Default `false`. */
  readonly allowHttp?: boolean;
  /** What logs call it: 1 to 128 characters in one line, never a secret. Default: the origin of `url`, as its path may hold a token. */
  readonly name?: string;
}

const PATH = 'webhookTarget';
const MAX_SECRETS = 8;
const MAX_HEADERS = 32;
const MAX_HEADER_BYTES = 4_096;
const MAX_NAME_CHARS = 128;
const ALL: readonly HookEvent['type'][] = [
  'channel.occupied',
  'channel.vacated',
  'member.joined',
  'member.left',
  'user.offline',
];
const NAMES: Readonly<Record<keyof WebhookOptions, true>> = {
  url: true,
  secret: true,
  secrets: true,
  events: true,
  headers: true,
  timeout: true,
  maxAge: true,
  allowHttp: true,
  name: true,
};
/** Headers that belong to the request itself, or to its signature. */
const OURS =
  /^(webhook-.*|content-.*|host|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect)$/i;

/** Options with every default filled in. */
export interface WebhookSettings {
  readonly name: string;
  readonly url: string;
  readonly keys: readonly Buffer[];
  readonly types: ReadonlySet<HookEvent['type']>;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly maxAgeMs: number;
}

/** The options, checked, with every default. @throws RealtimeBootError that names each wrong option and its remedy, never a secret. */
export function webhookSettings(options: WebhookOptions): WebhookSettings {
  const problems = new BootProblems();
  const isObject = typeof (options as unknown) === 'object' && (options as unknown) !== null;
  if (!isObject) problems.add(PATH, 'has no options.', 'Give webhookTarget({ url, secret }).');
  const given = (isObject ? options : {}) as Partial<Record<keyof WebhookOptions, unknown>>;
  for (const name of Object.keys(given))
    if (!Object.hasOwn(NAMES, name))
      problems.add(`${PATH}.${name}`, 'is no option.', `There are ${Object.keys(NAMES).join(', ')}.`);
  if (given.allowHttp !== undefined && typeof given.allowHttp !== 'boolean')
    problems.add(
      `${PATH}.allowHttp`,
      'is neither true nor false.',
      'Leave it out where the address has https:.',
    );
  const problem = urlProblem(given.url, given.allowHttp === true);
  if (problem !== undefined) problems.add(`${PATH}.url`, ...problem);
  const settings = {
    name: nameOf(given, problems),
    url: String(given.url),
    keys: keysOf(given, problems),
    types: typesOf(given.events, problems),
    headers: headersOf(given.headers, problems),
    timeoutMs: milliseconds(given, 'timeout', { otherwise: 10_000, min: 100, max: 60_000 }, problems),
    maxAgeMs: milliseconds(given, 'maxAge', { otherwise: 3_600_000, min: 1_000, max: 604_800_000 }, problems),
  };
  problems.throwIfAny();
  return settings;
}

function nameOf(
  { name, url }: { readonly name?: unknown; readonly url?: unknown },
  problems: BootProblems,
): string {
  if (typeof name === 'string' && name.length <= MAX_NAME_CHARS && /^\P{Cc}*\S\P{Cc}*$/u.test(name))
    // It is a label of metrics, too.
    return withoutUserinfo(name);
  if (name !== undefined)
    problems.add(
      `${PATH}.name`,
      `is no text of 1 to ${MAX_NAME_CHARS} characters in one line.`,
      'Give a name for logs, such as "billing", or leave it out.',
    );
  return URL.canParse(String(url)) ? new URL(String(url)).origin : '';
}

function keysOf(
  { secret, secrets }: { readonly secret?: unknown; readonly secrets?: unknown },
  problems: BootProblems,
): readonly Buffer[] {
  if (secret !== undefined && secrets !== undefined)
    problems.add(`${PATH}.secret`, 'is given beside secrets.', 'Give one of both.');
  if (secrets === undefined) {
    const key = keyOf(secret);
    if (key === undefined) problems.add(`${PATH}.secret`, 'is no secret of a webhook.', SECRET_HINT);
    return key === undefined ? [] : [key];
  }
  if (!Array.isArray(secrets) || secrets.length === 0 || secrets.length > MAX_SECRETS) {
    problems.add(
      `${PATH}.secrets`,
      `is no list of 1 to ${MAX_SECRETS} secrets.`,
      'Give [newSecret, oldSecret].',
    );
    return [];
  }
  return (secrets as readonly unknown[]).flatMap((one, index) => {
    const key = keyOf(one);
    if (key === undefined)
      problems.add(`${PATH}.secrets[${index}]`, 'is no secret of a webhook.', SECRET_HINT);
    return key ?? [];
  });
}

function typesOf(events: unknown, problems: BootProblems): ReadonlySet<HookEvent['type']> {
  if (events === undefined) return new Set(ALL.filter((type) => type !== 'user.offline'));
  const isList = Array.isArray(events) && events.length > 0;
  if (!isList || !events.every((type) => (ALL as readonly unknown[]).includes(type)))
    problems.add(`${PATH}.events`, 'is no list of types of events.', `Give some of ${ALL.join(', ')}.`);
  return new Set(isList ? (events as readonly HookEvent['type'][]) : []);
}

function headersOf(headers: unknown, problems: BootProblems): Readonly<Record<string, string>> {
  if (headers === undefined) return {};
  const path = `${PATH}.headers`;
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) {
    problems.add(path, 'is no object.', "Give { 'x-tenant': 'a' }.");
    return {};
  }
  const entries = Object.entries(headers as Readonly<Record<string, unknown>>);
  const bytes = entries.reduce((sum, [name, value]) => sum + name.length + String(value).length, 0);
  if (entries.length > MAX_HEADERS || bytes > MAX_HEADER_BYTES)
    problems.add(
      path,
      `has more than ${MAX_HEADERS} headers or ${MAX_HEADER_BYTES} characters.`,
      'Many servers take no more.',
    );
  for (const [name, value] of entries) {
    if (OURS.test(name)) problems.add(`${path}.${name}`, 'is set by the request itself.', 'Leave it out.');
    else if (!isHeader(name, value))
      problems.add(
        `${path}.${name}`,
        'can be no header.',
        'Give a text without line breaks. Is the environment variable set?',
      );
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

function isHeader(name: string, value: unknown): boolean {
  try {
    return typeof value === 'string' && new Headers([[name, value]]).has(name);
  } catch {
    return false;
  }
}

function milliseconds(
  given: Partial<Record<keyof WebhookOptions, unknown>>,
  name: 'timeout' | 'maxAge',
  { otherwise, min, max }: { readonly otherwise: number; readonly min: number; readonly max: number },
  problems: BootProblems,
): number {
  const value = given[name];
  if (value === undefined) return otherwise;
  const ms = toMilliseconds(value);
  if (ms === undefined || ms < min || ms > max)
    problems.add(`${PATH}.${name}`, `is no duration from ${min} ms to ${max} ms.`, DURATION_HINT);
  return ms ?? otherwise;
}
