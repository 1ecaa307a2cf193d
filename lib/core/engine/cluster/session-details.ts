import { isChannelName } from '../../../protocol/channel-name.js';
import { isCount, isRecord } from '../../../protocol/validation/checks.js';
import type { SessionRegistry } from '../../session/registry.js';
import type { Session } from '../../session/session.js';
import type { LocalSessions, SessionInfo } from './local-sessions.js';
import type { NodeQuestions } from './node-questions.js';
import { readSession } from './session-wire.js';

const DETAILS = 'sessions.details';
/** How long a node may take to answer. */
const TIMEOUT_MS = 2_000;
/** Most channels that are named of a session. */
export const MAX_NAMED_CHANNELS = 200;

/** A channel of a session. */
export interface SubscribedChannel {
  readonly channel: string;
  /** Events of the log that it has not been handed yet. */
  readonly behind: number;
  /** Whether it gets new events as they come; `false` while it catches up. */
  readonly live: boolean;
}

/** A session, with what the lists leave out. */
export interface SessionDetails extends SessionInfo {
  /** Bytes that wait for it, in its queue and its socket. */
  readonly waitingBytes: number;
  /** Whether its socket holds back what it was given. */
  readonly blocked: boolean;
  /** Its first channels, in the order in which it subscribed. */
  readonly subscriptions: readonly SubscribedChannel[];
}

/** Finds one session, on whatever node it is. */
export class DetailsOfSessions {
  constructor(
    private readonly questions: NodeQuestions,
    sessions: Pick<SessionRegistry, 'find'>,
    local: Pick<LocalSessions, 'describe'>,
  ) {
    questions.serve(DETAILS, (body) => {
      const { s } = (body ?? {}) as Readonly<Record<string, unknown>>;
      const session = typeof s === 'string' ? sessions.find(s) : undefined;
      return session?.isLive === true ? { ...local.describe(session), ...detailsOf(session) } : {};
    });
  }

  /**
   * @returns the session where a node has it, and the nodes that did not answer in time.
   * @throws RealtimeError `unavailable` or `timeout` where the nodes are not known.
   */
  async find(
    id: string,
  ): Promise<{ readonly session?: SessionDetails; readonly missing: readonly string[] }> {
    const nodes = await this.questions.nodes(TIMEOUT_MS);
    const { byNode, missing } = await this.questions.ask(
      DETAILS,
      { s: id },
      { nodes, timeoutMs: TIMEOUT_MS, read: readAnswer },
    );
    const session = [...byNode.values()].find((answer) => answer !== 'elsewhere');
    return session === undefined ? { missing } : { session, missing };
  }
}

function detailsOf({ channels, outbox }: Session): Omit<SessionDetails, keyof SessionInfo> {
  return {
    waitingBytes: outbox.bufferedBytes,
    blocked: outbox.isBlocked,
    subscriptions: channels
      .list()
      .slice(0, MAX_NAMED_CHANNELS)
      .map(({ name, channel, epoch, cursor, live }) => ({
        channel: name,
        // Of another epoch: nothing of the new one was handed over.
        behind: Math.max(0, channel.tip.seq - (epoch === channel.tip.epoch ? cursor : 0)),
        live,
      })),
  };
}

/** @returns `'elsewhere'` where the node does not have the session, `undefined` for what is no answer. */
function readAnswer(answer: unknown): SessionDetails | 'elsewhere' | undefined {
  if (!isRecord(answer)) return undefined;
  if (answer['id'] === undefined) return 'elsewhere';
  const session = readSession(answer);
  const { waitingBytes, blocked, subscriptions } = answer;
  if (session === undefined || !isCount(waitingBytes) || typeof blocked !== 'boolean') return undefined;
  if (!Array.isArray(subscriptions) || subscriptions.length > MAX_NAMED_CHANNELS) return undefined;
  const read: SubscribedChannel[] = [];
  for (const entry of subscriptions as unknown[]) {
    if (!isRecord(entry)) return undefined;
    const { channel, behind, live } = entry;
    if (!isChannelName(channel) || !isCount(behind) || typeof live !== 'boolean') return undefined;
    read.push({ channel, behind, live });
  }
  return { ...session, waitingBytes, blocked, subscriptions: read };
}
