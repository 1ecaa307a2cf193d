import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RealtimeEngine } from '../../../lib/core/engine/realtime-engine.js';
import type { AuditEntry } from '../../../lib/core/ports/audit.js';
import type { ControlReceipt } from '../../../lib/core/ports/control.js';
import type { RestrictedSubject, Restriction } from '../../../lib/core/ports/moderation.js';
import { SESSION_TRANSPORTS, type SessionTransport } from '../transport/session-transports.js';
import { until } from '../until.js';
import { wireChannel } from './channel.js';
import type { WireClusterOptions } from './cluster.js';
import type { WireServer } from './server.js';
import type { SessionClient, WireEnvelope } from './session-client.js';

// Each act of moderation: its receipt, its audit entry, what it does to a live session, to one that resumes on the other node, to somebody new, and on
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

/** Keeps what the audits of all nodes are handed. */
class Entries {
  readonly all: AuditEntry[] = [];
  readonly sink = { write: (entry: AuditEntry) => void this.all.push(entry) };

  /** Takes the entry of the only act since the last call. Where an entry lacks something, so does what is expected. */
  async take(expected: Omit<AuditEntry, 'id' | 'ts' | 'result'> & { result?: string }): Promise<void> {
    await until(`the audit entry of ${expected.act}`, () => this.all.length > 0);
    const [{ id: _id, ts: _ts, receipt, ...entry }, ...more] = this.all.splice(0) as [
      AuditEntry,
      ...AuditEntry[],
    ];
    expect(more).toEqual([]);
    const { receipt: applied, ...rest } = expected;
    expect(entry).toEqual({ result: 'applied', ...rest });
    expect([[...(receipt?.confirmed ?? [])].sort(), receipt?.missing]).toEqual([applied?.confirmed, []]);
  }
}

const receiptOf = (...confirmed: string[]): ControlReceipt => ({ confirmed, missing: [] });

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
      let entries: Entries;
      beforeEach(async () => {
        entries = new Entries();
        running = await start({ ...OPTIONS, audit: entries.sink });
      });
      afterEach(() => running.close());

      describe.each(['user', 'session', 'address'] as const)('of a %s', (of) => {
        it.each(ACTS.map((act) => [act.title, act] as const))(
          '%s is audited, and in force for the live session, on resume, and on a node that starts later, until it is lifted',
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
            await entries.take({
              act,
              whom,
              by: 'mod',
              reason: 'not for clients',
              node: 'node-2',
              ...(channel === undefined ? {} : { channel }),
              ...(forMs === undefined ? {} : { data: { forMs } }),
              receipt: receiptOf('node-1', 'node-2'),
            });
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
            await entries.take({
              act: act === 'ban' ? 'unban' : 'unmute',
              whom,
              ...why,
              node: 'node-3',
              ...(channel === undefined ? {} : { channel }),
              receipt: receiptOf('node-1', 'node-2', 'node-3'),
            });
            for (const node of [left, right, late]) {
              expect(await enter(transport, node, ticket, undefined)).toBe(FREE);
              expect(node.engine.restrictions({}, 0, 10).restrictions).toEqual([]);
            }
          },
        );
      });

      it('slow mode is audited, and in force on both nodes and on one that starts later, until it ends', async () => {
        const [left, right] = running.nodes as [WireServer, WireServer];
        const slow: Restriction = {
          act: 'slow',
          whom: { of: 'everybody', id: '' },
          channel: 'rooms.:room',
          everyMs: HOUR_MS,
        };
        requireConfirmed(await right.engine.restrict({ ...slow, by: 'mod' }), ['node-1', 'node-2']);
        const { whom, channel = '' } = slow;
        const receipt = receiptOf('node-1', 'node-2');
        const data = { everyMs: HOUR_MS };
        await entries.take({ act: 'slow', whom, channel, by: 'mod', data, node: 'node-2', receipt });
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
        requireConfirmed(await left.engine.lift(slow, { by: 'mod' }), ['node-1', 'node-2', 'node-3']);
        const all = receiptOf('node-1', 'node-2', 'node-3');
        await entries.take({ act: 'end_slow', whom, channel, by: 'mod', node: 'node-1', receipt: all });
        for (const [index, { httpUrl: url }] of [left, right, late].entries()) {
          const client = await transport.open({ url });
          await client.hello(`user-${index}`);
          await client.reply({ type: 'publish', channel: CHANNEL, event: 'said', id: `c${index}` });
          client.terminate();
        }
      });

      it('an erasure is audited, and what it erased is gone for the live session, on resume, and on a node that starts later', async () => {
        const [left, right] = running.nodes as [WireServer, WireServer];
        const client = await transport.open({ url: left.httpUrl });
        await client.hello(USER);
        const { position } = await client.subscribe(CHANNEL);
        for (const seq of [1, 2, 3])
          await client.reply({
            type: 'publish',
            channel: CHANNEL,
            event: 'said',
            id: `e${seq}`,
            payload: `word ${seq}`,
          });
        const ticket = client.welcome?.session;
        const why = { by: 'mod', reason: 'not for clients' };
        const { erased, ...receipt } = await right.engine.erase(CHANNEL, { seqs: [2] }, why);
        expect(erased).toEqual([2]);
        requireConfirmed(receipt, ['node-1', 'node-2']);
        await entries.take({
          act: 'erase',
          ...why,
          channel: CHANNEL,
          data: { count: 1, seqs: [2] },
          node: 'node-2',
          receipt: receiptOf('node-1', 'node-2'),
        });
        expect((await client.take({ type: 'event', event: '$erased' })).payload).toEqual({ seqs: [2] });
        client.terminate();
        const late = await running.start();
        for (const node of [right, late, left]) {
          const back = await transport.open({ url: node.httpUrl });
          await back.hello(USER, { session: ticket });
          await back.subscribe(CHANNEL, { position });
          await back.take({ type: 'resumed', channel: CHANNEL });
          const { events } = await back.reply({ type: 'history', channel: CHANNEL, payload: {} });
          const replayed = back.received.filter(({ type }) => type === 'event');
          for (const found of [replayed, events as WireEnvelope[]])
            expect(found.map(({ event, payload }) => [event, payload])).toEqual([
              ['said', 'word 1'],
              ['$erased', { seqs: [2] }],
              ['said', 'word 3'],
              ['$erased', { seqs: [2] }],
            ]);
          back.terminate();
        }
      });

      it('a kick without a time, a disconnect and a new authorization are audited, and done on the other node', async () => {
        const [left, right] = running.nodes as [WireServer, WireServer];
        const client = await transport.open({ url: left.httpUrl });
        await client.hello(USER);
        await client.subscribe(CHANNEL);
        const whom = { of: 'user', id: USER } as const;
        const receipt = receiptOf('node-1', 'node-2');
        const [why, node] = [{ by: 'mod', reason: 'enough' }, 'node-2'];
        requireConfirmed(await right.engine.reauthorize(USER, CHANNEL, why), ['node-1', 'node-2']);
        await entries.take({ act: 'reauthorize', whom, channel: CHANNEL, ...why, node, receipt });
        requireConfirmed(await right.engine.revoke(USER, CHANNEL, why), ['node-1', 'node-2']);
        await entries.take({ act: 'revoke', whom, channel: CHANNEL, ...why, node, receipt });
        await client.take({ type: 'unsubscribed', channel: CHANNEL });
        await client.subscribe(CHANNEL);
        requireConfirmed(await right.engine.disconnect(USER, why), ['node-1', 'node-2']);
        await entries.take({ act: 'disconnect', whom, ...why, node, receipt });
        expect((await client.expectClose()).code).toBe(4811);
      });
    },
  );
}
