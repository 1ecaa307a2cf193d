import { anonymousOf } from '../../ports/user-id.js';
import type { SpamContext, SpamDetector, SpamVerdict } from '../../ports/spam.js';
import { RateLimit } from '../rate-limit.js';
import { EMOJI_WALL, plainText, type PlainText } from './plain-text.js';
import { RecentTexts } from './recent-texts.js';
import { sketchOf, type Sketch } from './sketch.js';
import { textOf } from './text-of.js';

/** Letters up to which a text is short: "ok", "good morning". */
const SHORT = 12;
/** Anonymous clients of one address are many people, perhaps: so many times as much is theirs together. */
const PEOPLE_OF_ADDRESS = 5;
/** Texts that are remembered of a client, and as many as a limit counts where that is more. */
const MIN_TEXTS = 24;
/** Greatest `count` of near-equal texts: each text is compared with all of those that are remembered. */
const MAX_REPEATS = 100;
/** Bytes beside a name and its texts. */
const KEY_BYTES = 64;

/** So many within so many milliseconds. */
export interface Allowed {
  /** How many. */
  readonly count: number;
  /** Within what time, in milliseconds. */
  readonly withinMs: number;
}

/** What {@link repeatsAndBursts} takes; durations in milliseconds. */
export interface RepeatsAndBurstsOptions {
  /** Near-equal texts of more than 12 letters. Default 3 within 300000 (5 minutes). */
  readonly texts?: Allowed;
  /** The same of up to 12 letters, such as "ok". Default 8 within 30000. */
  readonly shortTexts?: Allowed;
  /** The same of links to one host with little text, and of walls of emoji. Default 5 within 60000. */
  readonly links?: Allowed;
  /** Publishes at once; as many come back in the time. Default 10 within 10000. */
  readonly burst?: Allowed;
  /** Publishes over a longer time, counted as `burst`. Default 60 within 120000. */
  readonly sustained?: Allowed;
  /** Users and sessions that are remembered; the oldest are forgotten. Default 20000. */
  readonly maxClients?: number;
  /** Bytes of what is remembered of them, about. Default 16777216 (16 MiB). */
  readonly maxBytes?: number;
  /** The text of a publish. Default: the payload, its field `text`, `message`, `body`, `content` or `msg`, or all texts in it. */
  readonly textOf?: (context: SpamContext) => string;
}

/**
 * A detector that escalates when a user publishes near-equal texts again and again, in whatever channels, or publishes too much.
 * Texts are compared without case, accents, numbers, repeated and invisible characters, letters that look like others, and the paths
 * of links. A user counts once, whatever sessions there are; an anonymous client by its session, and five times as much by its
 * address: what is too much of the address alone is refused, and is no strike. What comes above a rate is not compared. It keeps
 * fingerprints, no texts, of this node.
 *
 * @throws RangeError for a number that is none above 0, and for more than 100 near-equal texts.
 * @example forRoot({ moderation: { spam: { detector: repeatsAndBursts() } } })
 * @publicApi
 */
export function repeatsAndBursts(options: RepeatsAndBurstsOptions = {}): SpamDetector {
  return new RepeatsAndBursts(options);
}

/** Kinds of texts: those of two kinds are never near-equal. */
const KINDS = ['texts', 'shortTexts', 'links'] as const;
type Kind = (typeof KINDS)[number];

class RepeatsAndBursts implements SpamDetector {
  /** In the order in which they were last used. */
  private readonly clients = new Map<string, RecentTexts>();
  private bytes = 0;
  private readonly repeats: Record<Kind, Allowed>;
  private readonly rates: readonly RateLimit[];
  private readonly remembered: number;
  private readonly maxClients: number;
  private readonly maxBytes: number;
  private readonly textOf: (context: SpamContext) => string;

  constructor(options: RepeatsAndBurstsOptions) {
    const {
      texts = { count: 3, withinMs: 300_000 },
      shortTexts = { count: 8, withinMs: 30_000 },
      links = { count: 5, withinMs: 60_000 },
      burst = { count: 10, withinMs: 10_000 },
      sustained = { count: 60, withinMs: 120_000 },
      maxClients = 20_000,
      maxBytes = 16 * 1024 * 1024,
    } = options;
    const numbers = { texts, shortTexts, links, burst, sustained };
    for (const [name, { count, withinMs }] of Object.entries(numbers)) {
      requirePositive(`${name}.count`, count);
      requirePositive(`${name}.withinMs`, withinMs);
    }
    requirePositive('maxClients', maxClients);
    requirePositive('maxBytes', maxBytes);
    this.repeats = { texts, shortTexts, links };
    for (const [name, { count }] of Object.entries(this.repeats))
      if (count > MAX_REPEATS)
        throw new RangeError(`repeatsAndBursts: ${name}.count must be at most ${MAX_REPEATS}`);
    this.remembered = Math.max(MIN_TEXTS, texts.count, shortTexts.count, links.count);
    this.rates = [burst, sustained].map(
      ({ count, withinMs }) => new RateLimit((count * 1_000) / withinMs, count),
    );
    this.maxClients = maxClients;
    this.maxBytes = maxBytes;
    this.textOf = options.textOf ?? (({ payload }) => textOf(payload));
  }

  /** For tests: users and sessions that are remembered, and their bytes. */
  get size(): { readonly clients: number; readonly bytes: number } {
    return { clients: this.clients.size, bytes: this.bytes };
  }

  judge(context: SpamContext): SpamVerdict {
    const { user, session, address, ts } = context;
    const own = user === undefined ? `\n\n${session}` : user.id;
    const shared = user === undefined ? anonymousOf(address) : undefined;
    // First, and without the text: what comes too often must not cost what comparing it costs.
    const verdict = verdictOf(own, shared, (key, people) => this.exceedsRate(key, people, ts));
    if (verdict !== 'allow') return verdict;
    const plain = plainText(this.textOf(context));
    if (plain.text === '') return 'allow';
    const kind = kindOf(plain);
    const sketch = sketchOf(plain.text);
    return verdictOf(own, shared, (key, people) => this.exceedsRepeats(key, people, kind, sketch, ts));
  }

  /** Counts a publish. */
  private exceedsRate(key: string, people: number, now: number): boolean {
    const client = this.clientOf(key, people);
    let isOver = false;
    this.rates.forEach((rate, index) => {
      const after = rate.take(client.fullAt[index] ?? 0, 1 / people, now);
      if (after === undefined) isOver = true;
      else client.fullAt[index] = after;
    });
    this.trim();
    return isOver;
  }

  /** Remembers a text. */
  private exceedsRepeats(key: string, people: number, kind: Kind, sketch: Sketch, now: number): boolean {
    const client = this.clientOf(key, people);
    const before = client.bytes;
    const { count, withinMs } = this.repeats[kind];
    const found = client.add(sketch, KINDS.indexOf(kind), withinMs, now);
    this.bytes += client.bytes - before;
    this.trim();
    return found > count * people;
  }

  private clientOf(key: string, people: number): RecentTexts {
    const known = this.clients.get(key);
    if (known !== undefined) {
      this.clients.delete(key);
      this.clients.set(key, known);
      return known;
    }
    const client = new RecentTexts(this.remembered * people);
    this.clients.set(key, client);
    this.bytes += client.bytes + KEY_BYTES + 2 * key.length;
    return client;
  }

  private trim(): void {
    for (const [key, client] of this.clients) {
      if (this.clients.size <= this.maxClients && this.bytes <= this.maxBytes) return;
      // The one that has just been used is the last.
      if (this.clients.size === 1) return;
      this.clients.delete(key);
      this.bytes -= client.bytes + KEY_BYTES + 2 * key.length;
    }
  }
}

/**
 * Asks about a client, and then about the address that it shares with others. What is too much of the client alone does not count for
 * the address: one session that sends without end would use up what is there for all. What is too much of the address alone is refused
 * without a strike, as it may be the first word of who comes next.
 *
 * @param exceeds counts the publish. @returns whether it is too much of so many people.
 */
function verdictOf(
  own: string,
  shared: string | undefined,
  exceeds: (key: string, people: number) => boolean,
): SpamVerdict {
  if (exceeds(own, 1)) return 'escalate';
  return shared !== undefined && exceeds(shared, PEOPLE_OF_ADDRESS) ? 'refuse' : 'allow';
}

function kindOf({ text, hosts }: PlainText): Kind {
  if (text === EMOJI_WALL) return 'links';
  const words =
    hosts.length === 0 ? text.length : text.length - Math.max(...hosts.map((host) => host.length));
  if (hosts.length > 0 && words <= SHORT) return 'links';
  return text.length <= SHORT ? 'shortTexts' : 'texts';
}

/** @throws RangeError. */
function requirePositive(name: string, value: number): void {
  if (!(Number.isFinite(value) && value > 0))
    throw new RangeError(`repeatsAndBursts: ${name} must be a number above 0`);
}
