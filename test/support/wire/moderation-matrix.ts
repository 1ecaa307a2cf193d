import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RealtimeEngine } from '../../../lib/core/engine/realtime-engine.js';
import type { ControlReceipt } from '../../../lib/core/ports/control.js';
import type { RestrictedSubject, Restriction } from '../../../lib/core/ports/moderation.js';
import { SESSION_TRANSPORTS, type SessionTransport } from '../transport/session-transports.js';
import { wireChannel } from './channel.js';
import type { WireClusterOptions } from './cluster.js';
import type { WireServer } from './server.js';
import type { SessionClient, WireEnvelope } from './session-client.js';

// Each act of moderation: its receipt, what it does to a live session, to one that resumes on the other node, to somebody new, and on
// a node that starts later; then the same after it was lifted.

const USER = 'ada';
const CHANNEL = 'rooms.1';
const HOUR_MS = 3_600_000;

/** Nodes that a matrix is tried on. */
interface Nodes {
  readonly nodes: readonly WireServer[];
  /** Starts one more. */
  start(): Promise<WireServer>;
  close(): Promise<void>;
}

/** What somebody is answered. */
type Outcome = string;

const FREE = 'subscribe, history, publish, signal, presence_update, request: ok; elsewhere: ok';
const SHUT = 'banned, 4803';
const BANNED_HERE = 'subscribe, history, publish, signal, presence_update, request: banned; elsewhere: ok';
const MUTED_HERE = 'subscribe, history, request: ok; publish, signal, presence_update: muted; elsewhere: ok';
const MUTED = 'subscribe, history, request: ok; publish, signal, presence_update: muted; elsewhere: muted';

interface Act {
  readonly title: string;
  readonly restriction: Omit<Restriction, 'whom'>;
  /** What whom it concerns is answered. */
  readonly outcome: Outcome;
}

const ACTS: readonly Act[] = [
  { title: 'a ban', restriction: { act: 'ban' }, outcome: SHUT },
  { title: 'a ban for an hour', restriction: { act: 'ban', forMs: HOUR_MS }, outcome: SHUT },
  {
    title: 'a ban from a channel',
    restriction: { act: 'ban', channel: CHANNEL },
    outcome: BANNED_HERE,
  },
  {
    title: 'a kick from the channels of a pattern for an hour',
    restriction: { act: 'ban', channel: 'rooms.:any', forMs: HOUR_MS },
    outcome: BANNED_HERE,
  },
  { title: 'a mute', restriction: { act: 'mute', forMs: HOUR_MS }, outcome: MUTED },
  {
    title: 'a mute in a channel',
    restriction: { act: 'mute', channel: CHANNEL, forMs: HOUR_MS },
    outcome: MUTED_HERE,
  },
];

const OPTIONS: WireClusterOptions = {
  channels: ['rooms.:room', 'halls.:hall'].map((pattern) =>
    wireChannel(pattern, {
      presence: true,
      publish: ['said'],
      signals: ['typing'],
      behaviour: { requests: new Map([['ask', () => 1]]) },
    }),
  ),
};

let ids = 0;

/** Tries what there is. @returns what it is answered, in short. */
async function tryAll(client: SessionClient, forMs: number | undefined): Promise<Outcome> {
  const commands = {
    subscribe: { channel: CHANNEL, payload: { presence: {} } },
    history: { channel: CHANNEL },
    publish: { channel: CHANNEL, event: 'said' },
    signal: { channel: CHANNEL, event: 'typing' },
    presence_update: { channel: CHANNEL, payload: { data: 'new' } },
    request: { channel: CHANNEL, event: 'ask' },
  };
  const found = new Map<string, string[]>();
  for (const [type, command] of Object.entries(commands)) {
    const outcome = outcomeOf(await client.call({ type, id: `m${++ids}`, ...command }), forMs);
    found.set(outcome, [...(found.get(outcome) ?? []), type]);
  }
  const elsewhere = { type: 'publish', id: `m${++ids}`, channel: 'halls.1', event: 'said' };
  const parts = [...found].map(([outcome, types]) => `${types.join(', ')}: ${outcome}`);
  return [...parts, `elsewhere: ${outcomeOf(await client.call(elsewhere), forMs)}`].join('; ');
}

function outcomeOf({ type, payload }: WireEnvelope, forMs: number | undefined): string {
  if (type === 'reply') return 'ok';
  requireWait(payload['retryAfterMs'], forMs);
  return String(payload['code']);
}

/** What is said of the time that is left. */
function requireWait(retryAfterMs: unknown, forMs: number | undefined): void {
  if (forMs === undefined) expect(retryAfterMs).toBeUndefined();
  else {
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(forMs);
  }
}

/** Connects, with a ticket or without, and tries all. */
async function enter(
  transport: SessionTransport,
  { httpUrl: url }: WireServer,
  ticket: string | undefined,
  forMs: number | undefined,
): Promise<Outcome> {
  const client = await transport.open({ url });
  client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: USER, session: ticket } });
  const { type, payload } = await client.next();
  if (type === 'error') {
    requireWait(payload['retryAfterMs'], forMs);
    return `${String(payload['code'])}, ${(await client.expectClose()).code}`;
  }
  const outcome = await tryAll(client, forMs);
  client.terminate();
  return outcome;
}

async function subjectOf(of: RestrictedSubject['of'], engine: RealtimeEngine): Promise<RestrictedSubject> {
  if (of === 'user') return { of, id: USER };
  const { sessions } = await engine.sessions.list({ user: USER }, { limit: 1 });
  return { of, id: (of === 'session' ? sessions[0]?.lineage : sessions[0]?.ip) ?? '' };
}

function requireConfirmed({ confirmed, missing }: ControlReceipt, nodes: readonly string[]): void {
  expect([[...confirmed].sort(), missing]).toEqual([nodes, []]);
}

/** The tests of the whole matrix. @param start two nodes. */
export function describeModeration(
  title: string,
  start: (options: WireClusterOptions) => Promise<Nodes>,
): void {
  describe.each(SESSION_TRANSPORTS.map((transport) => [transport.name, transport] as const))(
    `${title}, by %s`,
    (_name, transport) => {
      let running: Nodes;
      beforeEach(async () => {
        running = await start(OPTIONS);
      });
      afterEach(() => running.close());

      describe.each(['user', 'session', 'address'] as const)('of a %s', (of) => {
        it.each(ACTS.map((act) => [act.title, act] as const))(
          '%s is in force for the live session, on resume, and on a node that starts later, until it is lifted',
          async (_, { restriction, outcome }) => {
            const [left, right] = running.nodes as [WireServer, WireServer];
            const { forMs, act, channel } = restriction;
            const client = await transport.open({ url: left.httpUrl });
            await client.hello(USER);
            await client.subscribe(CHANNEL, { presence: {} });
            const ticket = client.welcome?.session;
            const whom = await subjectOf(of, right.engine);

            const put = { ...restriction, whom, reason: 'not for clients', by: 'mod' };
            requireConfirmed(await right.engine.restrict(put), ['node-1', 'node-2']);
            if (outcome === SHUT) expect((await client.expectClose()).code).toBe(4803);
            else {
              if (act === 'ban') {
                const { payload } = await client.take({ type: 'unsubscribed', channel: CHANNEL });
                expect(payload['code']).toBe('banned');
                requireWait(payload['retryAfterMs'], forMs);
              }
              // Who is muted keeps the subscription.
              if (act === 'mute') await client.reply({ type: 'unsubscribe', channel: CHANNEL });
              expect(await tryAll(client, forMs)).toBe(outcome);
            }
            expect(JSON.stringify(client.received)).not.toContain('not for clients');

            const late = await running.start();
            for (const node of [right, late, left]) {
              expect(await enter(transport, node, ticket, forMs)).toBe(outcome);
              // Without the ticket it is another session.
              expect(await enter(transport, node, undefined, forMs)).toBe(of === 'session' ? FREE : outcome);
            }
            for (const { engine } of [left, right, late]) {
              const { restrictions } = engine.restrictions({}, 0, 10);
              expect(restrictions).toMatchObject([{ act, whom, by: 'mod', reason: 'not for clients' }]);
              expect(restrictions[0]?.channel).toBe(channel);
              expect(Math.ceil((restrictions[0]?.forMs ?? 0) / HOUR_MS)).toBe(forMs === undefined ? 0 : 1);
            }

            const why = { by: 'mod', reason: 'forgiven' };
            const lifted = await late.engine.lift(
              { act, whom, ...(channel === undefined ? {} : { channel }) },
              why,
            );
            requireConfirmed(lifted, ['node-1', 'node-2', 'node-3']);
            for (const node of [left, right, late]) {
              expect(await enter(transport, node, ticket, undefined)).toBe(FREE);
              expect(node.engine.restrictions({}, 0, 10).restrictions).toEqual([]);
            }
          },
        );
      });

      it('slow mode is in force on both nodes and on one that starts later, until it ends', async () => {
        const [left, right] = running.nodes as [WireServer, WireServer];
        const slow: Restriction = {
          act: 'slow',
          whom: { of: 'everybody', id: '' },
          channel: 'rooms.:room',
          everyMs: HOUR_MS,
        };
        requireConfirmed(await right.engine.restrict(slow), ['node-1', 'node-2']);
        const late = await running.start();
        for (const [index, { httpUrl: url }] of [left, right, late].entries()) {
          const client = await transport.open({ url });
          await client.hello(`user-${index}`);
          const say = (id: string) => ({
            type: 'publish',
            channel: CHANNEL,
            event: 'said',
            id: `${id}${index}`,
          });
          await client.reply(say('a'));
          const refused = await client.error(say('b'));
          expect(refused).toMatchObject({ code: 'muted', reason: 'slow_mode', retryable: false });
          requireWait(refused.retryAfterMs, HOUR_MS);
          await client.reply(say('a'));
          client.terminate();
        }
        requireConfirmed(await left.engine.lift(slow), ['node-1', 'node-2', 'node-3']);
        for (const [index, { httpUrl: url }] of [left, right, late].entries()) {
          const client = await transport.open({ url });
          await client.hello(`user-${index}`);
          await client.reply({ type: 'publish', channel: CHANNEL, event: 'said', id: `c${index}` });
          client.terminate();
        }
      });
    },
  );
}
