import { RealtimeError } from '../../../protocol/realtime-error.js';
import { isCount } from '../../../protocol/validation/checks.js';
import type { Entropy } from '../../ports/entropy.js';
import type { LocalSessions, SessionInfo } from './local-sessions.js';
import type { NodeQuestions } from './node-questions.js';
import { readFilter, type SessionFilter } from './session-filter.js';
import { readSession } from './session-wire.js';

const LIST = 'sessions.list';
const COUNT = 'sessions.count';
/** How long a node may take to answer. */
const TIMEOUT_MS = 2_000;
/** Most sessions of a page. */
export const MAX_SESSIONS_PAGE = 1_000;
/** Most nodes that are asked for a page at the same time. */
const MAX_WAVE = 16;
const MAX_CURSOR = 512;

/** A page of sessions. */
export interface SessionPage {
  /** Node by node, and of one node in the order in which they came. */
  readonly sessions: readonly SessionInfo[];
  /** The `cursor` of the next page; absent on the last. */
  readonly more?: string;
  /** Ids of nodes that did not answer in time: what they have is not in this page, and in none that follows. */
  readonly missing: readonly string[];
}

/** How many sessions there are. */
export interface SessionCount {
  /** On the nodes that answered. */
  readonly count: number;
  /** Ids of the nodes that did not answer in time. */
  readonly missing: readonly string[];
}

/** Where a page begins. */
interface Cursor {
  readonly node: string;
  /** The process of that node that counted `after`. */
  readonly process: string;
  readonly after: number;
}

interface LocalPage {
  readonly process: string;
  readonly sessions: readonly (readonly [serial: number, session: SessionInfo])[];
  readonly more: boolean;
}

/** Finds sessions on all nodes. Nothing is kept of what other nodes have: each page asks them. */
export class ClusterSessions {
  private readonly process: string;

  constructor(
    private readonly questions: NodeQuestions,
    private readonly local: LocalSessions,
    entropy: Pick<Entropy, 'token'>,
  ) {
    this.process = entropy.token();
    questions.serve(LIST, async (body) => {
      const { f, p, a, n } = (body ?? {}) as Readonly<Record<string, unknown>>;
      const filter = readFilter(f);
      if (filter === undefined || !isCount(a) || !isCount(n) || n < 1) throw new RangeError('No such page');
      return this.page(filter, p === this.process ? a : 0, Math.min(n, MAX_SESSIONS_PAGE));
    });
    questions.serve(COUNT, async (body) => {
      const filter = readFilter((body as Readonly<Record<string, unknown>> | undefined)?.f);
      if (filter === undefined) throw new RangeError('No such filter');
      return { n: await local.count(filter) };
    });
  }

  /**
   * @param page.cursor the `more` of the page before.
   * @throws RealtimeError `bad_request` for a cursor that is none; `unavailable` or `timeout` where the nodes are not known.
   */
  async list(
    filter: SessionFilter,
    { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number },
  ): Promise<SessionPage> {
    const from = cursor === undefined ? undefined : readCursor(cursor);
    const known = await this.questions.nodes(TIMEOUT_MS);
    const nodes = from === undefined ? known : known.filter((node) => node >= from.node);
    const sessions: SessionInfo[] = [];
    const missing: string[] = [];
    // Most pages come from one node, and a rare user is found soon among many.
    for (let at = 0, wave = 1; at < nodes.length; at += wave, wave = Math.min(2 * wave, MAX_WAVE)) {
      const asked = nodes.slice(at, at + wave);
      const pages = await this.ask(filter, asked, from, limit);
      for (const node of asked) {
        const page = pages.get(node);
        if (page === undefined) {
          missing.push(node);
          continue;
        }
        const room = limit - sessions.length;
        const taken = page.sessions.slice(0, room);
        sessions.push(...taken.map(([, session]) => session));
        const after = taken.at(-1)?.[0];
        const isCut = page.sessions.length > room || page.more;
        if (isCut)
          return { sessions, more: cursorOf({ node, process: page.process, after: after ?? 0 }), missing };
      }
    }
    return { sessions, missing };
  }

  async count(filter: SessionFilter): Promise<SessionCount> {
    const nodes = await this.questions.nodes(TIMEOUT_MS);
    const { byNode, missing } = await this.questions.ask(
      COUNT,
      { f: filter },
      {
        nodes,
        timeoutMs: TIMEOUT_MS,
        read: (answer) => {
          const { n } = (answer ?? {}) as Readonly<Record<string, unknown>>;
          return isCount(n) ? n : undefined;
        },
      },
    );
    let count = 0;
    for (const found of byNode.values()) count += found;
    return { count, missing };
  }

  private async ask(
    filter: SessionFilter,
    nodes: readonly string[],
    from: Cursor | undefined,
    limit: number,
  ): Promise<ReadonlyMap<string, LocalPage>> {
    const read = (answer: unknown): LocalPage | undefined => readPage(answer, limit);
    const questions = nodes.map((node) => {
      const [process, after] = from?.node === node ? [from.process, from.after] : ['', 0];
      const body = { f: filter, p: process, a: after, n: limit };
      return this.questions.ask(LIST, body, { nodes: [node], timeoutMs: TIMEOUT_MS, read });
    });
    const answers = await Promise.all(questions);
    return new Map(answers.flatMap(({ byNode }) => [...byNode]));
  }

  private async page(filter: SessionFilter, after: number, limit: number): Promise<unknown> {
    const found = await this.local.page(filter, after, limit + 1);
    return {
      p: this.process,
      s: found.slice(0, limit).map((session) => [session.serial, this.local.describe(session)]),
      m: found.length > limit,
    };
  }
}

function readPage(answer: unknown, limit: number): LocalPage | undefined {
  const { p: process, s: list, m: more } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof process !== 'string' || !Array.isArray(list) || list.length > limit || typeof more !== 'boolean')
    return undefined;
  const sessions: [number, SessionInfo][] = [];
  for (const entry of list as unknown[]) {
    const [serial, given] = Array.isArray(entry) ? (entry as unknown[]) : [];
    const session = readSession(given);
    if (!isCount(serial) || session === undefined) return undefined;
    sessions.push([serial, session]);
  }
  return { process, sessions, more };
}

function cursorOf({ node, process, after }: Cursor): string {
  return Buffer.from(JSON.stringify([node, process, after])).toString('base64url');
}

function readCursor(text: string): Cursor {
  try {
    const [node, process, after] = JSON.parse(
      text.length > MAX_CURSOR ? '' : Buffer.from(text, 'base64url').toString(),
    ) as unknown[];
    if (typeof node === 'string' && typeof process === 'string' && isCount(after))
      return { node, process, after };
  } catch {
    // Refused below.
  }
  throw new RealtimeError('bad_request', 'sessions: cursor is not the "more" of a page');
}
