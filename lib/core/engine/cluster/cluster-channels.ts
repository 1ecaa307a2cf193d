import { isChannelName } from '../../../protocol/channel-name.js';
import { RealtimeError } from '../../../protocol/realtime-error.js';
import { isCount } from '../../../protocol/validation/checks.js';
import { channelsIn, ChannelSet } from '../../channel/channel-set.js';
import type { LocalChannelInfo, LocalChannels } from './local-channels.js';
import type { NodeQuestions } from './node-questions.js';
import { addServed, readChannels, writeChannels, type ServedChannelInfo } from './served-channels.js';

const LIST = 'channels.list';
/** How long a node may take to answer. */
const TIMEOUT_MS = 2_000;
/** Most channels of a page. */
export const MAX_CHANNELS_PAGE = 1_000;
/** Most nodes that are asked for a page at the same time: so many answers are in memory at once. */
const MAX_WAVE = 16;
/** Most characters of a cursor, which is the name of a channel in base64. */
const MAX_CURSOR = 400;

/** A page of the channels that are served. */
export interface ServedChannelPage {
  /** By name. */
  readonly channels: readonly ServedChannelInfo[];
  /** The `cursor` of the next page; absent on the last. */
  readonly more?: string;
  /** Ids of nodes that did not answer in time: what they serve is not counted in this page. */
  readonly missing: readonly string[];
}

interface LocalPage {
  readonly channels: readonly LocalChannelInfo[];
  readonly more: boolean;
}

/**
 * Lists the channels that are served on any node. Nothing is kept of what other nodes serve: each page asks all of them, for the
 * channels behind the last name of the page before.
 */
export class ClusterChannels {
  constructor(
    private readonly questions: NodeQuestions,
    local: LocalChannels,
  ) {
    questions.serve(LIST, async (body) => {
      const { c, a, n } = (body ?? {}) as Readonly<Record<string, unknown>>;
      const after = a === '' || isChannelName(a) ? a : undefined;
      if (after === undefined || !isCount(n) || n < 1 || !(c === undefined || typeof c === 'string'))
        throw new RangeError('No such page');
      const limit = Math.min(n, MAX_CHANNELS_PAGE);
      const found = await local.page(ChannelSet.parse(c), after, limit + 1);
      return {
        c: writeChannels(found.slice(0, limit)),
        m: found.length > limit,
      };
    });
  }

  /**
   * @param channel a name, or a pattern as in `@Channel`; all channels when it is left out.
   * @param page.cursor the `more` of the page before.
   * @throws RealtimeError `bad_request` for a channel or a cursor that is none; `unavailable` or `timeout` where the nodes are not known.
   */
  async list(
    channel: string | undefined,
    { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number },
  ): Promise<ServedChannelPage> {
    channelsIn('channels', channel);
    const after = cursor === undefined ? '' : readCursor(cursor);
    const nodes = await this.questions.nodes(TIMEOUT_MS);
    const merged = new MergedPage(limit);
    const missing: string[] = [];
    for (let at = 0; at < nodes.length; at += MAX_WAVE) {
      const asked = await this.questions.ask(
        LIST,
        { c: channel, a: after, n: limit },
        {
          nodes: nodes.slice(at, at + MAX_WAVE),
          timeoutMs: TIMEOUT_MS,
          read: (answer) => readPage(answer, limit),
        },
      );
      for (const page of asked.byNode.values()) merged.add(page);
      missing.push(...asked.missing);
    }
    const { channels, isCut } = merged;
    const last = channels.at(-1);
    return isCut && last !== undefined
      ? { channels, more: cursorOf(last.channel), missing }
      : { channels, missing };
  }
}

/** The first channels of all nodes by name. Behind the last name of a page that was cut, its node has more that is not known here. */
class MergedPage {
  private readonly byName = new Map<string, ServedChannelInfo>();
  /** The last name up to which everything of each node is known; `undefined` where all of it is. */
  private knownTo: string | undefined;
  private left = false;

  constructor(private readonly limit: number) {}

  get channels(): readonly ServedChannelInfo[] {
    return [...this.byName.values()].sort((a, b) => (a.channel < b.channel ? -1 : 1));
  }

  /** Whether there are more than these. */
  get isCut(): boolean {
    return this.left;
  }

  add({ channels, more }: LocalPage): void {
    const last = channels.at(-1)?.channel;
    if (more && last !== undefined && (this.knownTo === undefined || last < this.knownTo))
      this.knownTo = last;
    if (more) this.left = true;
    addServed(this.byName, channels);
    this.trim();
  }

  private trim(): void {
    const all = this.channels;
    const last = all[Math.min(all.length, this.limit) - 1]?.channel;
    if (last !== undefined && (this.knownTo === undefined || last < this.knownTo) && all.length > this.limit)
      this.knownTo = last;
    const { knownTo } = this;
    if (knownTo === undefined) return;
    for (const { channel } of all) {
      if (channel <= knownTo) continue;
      this.byName.delete(channel);
      this.left = true;
    }
  }
}

function readPage(answer: unknown, limit: number): LocalPage | undefined {
  const { c: list, m: more } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  const channels = readChannels(list, limit);
  if (channels === undefined || typeof more !== 'boolean') return undefined;
  return { channels, more };
}

function cursorOf(channel: string): string {
  return Buffer.from(channel).toString('base64url');
}

function readCursor(text: string): string {
  const name = text.length > MAX_CURSOR ? '' : Buffer.from(text, 'base64url').toString();
  if (isChannelName(name)) return name;
  throw new RealtimeError('bad_request', 'channels: cursor is not the "more" of a page');
}
