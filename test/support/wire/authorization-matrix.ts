import type { ConnectionRequest, HandlerCall } from '../../../lib/core/ports/channel-definition.js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../until.js';
import { wireChannel } from './channel.js';
import type { WireClusterOptions } from './cluster.js';
import type { WireServer } from './server.js';
import type { SessionClient } from './session-client.js';
import { LONG_POLL, SESSION_TRANSPORTS, type SessionTransport } from '../transport/session-transports.js';

// Every command and every path to events, members and history, tried by everybody who may not. What must never arrive has
// the word `secret` in it.

/** The only member of the channels, beside those that {@link AuthorizationMatrix.members} gains. */
const WATCHER = 'mia';
/** Who loses access in most rows. */
const USER = 'ada';

/** A command, and what it is answered with where it is not allowed. */
interface Row {
  readonly command: Readonly<Record<string, unknown>>;
  readonly refused: string;
}

/** What a command is answered with: the code of an error, or what of the reply matters. */
type Outcomes = Readonly<Record<string, string>>;

/** Somebody who may not. */
interface Subject {
  readonly title: string;
  /** The connection on which the commands are sent. */
  enter(matrix: AuthorizationMatrix): Promise<SessionClient>;
}

/** Nodes of one application whose channels belong to their members. */
class AuthorizationMatrix {
  readonly members = new Set([WATCHER]);
  private nodes: readonly WireServer[] = [];
  private readonly opened: SessionClient[] = [];
  /** Of each channel before its last event. */
  private readonly positions = new Map<string, object>();

  /** @param transport of those who may not. */
  constructor(readonly transport: SessionTransport) {}

  /** A client that has said nothing. */
  async open({ httpUrl }: WireServer): Promise<SessionClient> {
    const client = await this.transport.open({ url: httpUrl });
    this.opened.push(client);
    return client;
  }

  async connect(node: WireServer, token?: string): Promise<SessionClient> {
    const client = await this.open(node);
    await client.hello(token);
    return client;
  }

  end(): void {
    for (const client of this.opened) client.terminate();
  }

  /** What the nodes are started with. */
  readonly options: WireClusterOptions = {
    settings: { anonymous: true },
    requests: new Map<string, ConnectionRequest>([
      ['ask', { authorize: this.ifMember(), handle: () => 'secret answer' }],
    ]),
    channels: [
      // Each action with an authorization of its own.
      wireChannel('each.:room', {
        presence: { graceMs: 0 },
        publish: ['said'],
        signals: ['typing'],
        behaviour: {
          authorize: {
            subscribe: this.ifMember(),
            publish: this.ifMember(),
            signal: this.ifMember(),
            request: this.ifMember(),
            history: this.ifMember(),
            presence: this.ifMember(),
          },
          requests: new Map([['ask', () => 'secret answer']]),
          snapshot: { shareable: true, run: () => ({ state: 'secret state' }) },
        },
      }),
      // Only subscribe: the others come with the subscription.
      wireChannel('plain.:room', {
        presence: { graceMs: 0 },
        signals: ['typing'],
        behaviour: {
          authorize: { subscribe: this.ifMember() },
          requests: new Map([['ask', () => 'secret answer']]),
        },
      }),
      wireChannel('end.:room'),
      // Everybody may subscribe; the past and the members belong to members.
      wireChannel('half.:room', {
        presence: { graceMs: 0 },
        behaviour: { authorize: { history: this.ifMember(), presence: this.ifMember() } },
      }),
    ],
  };

  get left(): WireServer {
    return this.nodes[0] as WireServer;
  }

  get right(): WireServer {
    return this.nodes[1] as WireServer;
  }

  /** Writes the secrets, and keeps a member with secret data in each channel. */
  async begin(nodes: readonly WireServer[]): Promise<void> {
    this.nodes = nodes;
    const watcher = await this.right.connect(WATCHER);
    for (const channel of ['each.1', 'plain.1', 'half.1']) {
      for (const number of [1, 2])
        await this.left.engine.application.publish(channel, 'said', `secret ${number}`);
      const { position } = await this.left.engine.application.history(channel);
      this.positions.set(channel, { ...position, seq: 0 });
      await watcher.subscribe(channel, { presence: { data: 'secret member' } });
    }
  }

  /** Sends every command of a channel. @returns how each is answered. */
  async tryAll(client: SessionClient, channel: string): Promise<Outcomes> {
    const outcomes: Record<string, string> = {};
    for (const [title, { command }] of Object.entries(this.rows(channel))) {
      const { type, payload } = await client.call(command);
      outcomes[title] = type === 'error' ? String(payload['code']) : shown(payload);
    }
    return outcomes;
  }

  /** How each command of a channel is answered to who may not. */
  refusals(channel: string): Outcomes {
    const rows = Object.entries(this.rows(channel));
    return Object.fromEntries(rows.map(([title, { refused }]) => [title, refused]));
  }

  /** Makes everything happen that a subscriber is told of. */
  async stir(channel: string): Promise<void> {
    const other = await this.right.connect(WATCHER);
    await other.subscribe(channel, { presence: { data: 'secret newcomer' } });
    if (channel !== 'half.1') {
      await this.left.engine.application.publish(channel, 'said', 'secret 3');
      await this.left.engine.application.signal(channel, 'typing', 'secret signal');
    }
    await other.close();
  }

  /** Everything that was to be sent to the client is here: a member at each node has it, and the client an answer behind it. */
  async settled(client: SessionClient): Promise<void> {
    const watchers = [await this.left.connect(WATCHER), await this.right.connect(WATCHER)];
    for (const watcher of watchers) {
      await watcher.subscribe('end.1');
    }
    await this.left.engine.application.publish('end.1', 'said', 'the end');
    for (const watcher of watchers) await watcher.take({ type: 'event', channel: 'end.1' });
    for (let turn = 0; turn < 3; turn++) await client.call({ type: 'ping' });
  }

  private rows(channel: string): Readonly<Record<string, Row>> {
    const position = this.positions.get(channel);
    const [kind] = channel.split('.');
    const own = kind === 'plain' ? 'not_subscribed' : 'forbidden';
    const subscribe = (payload: object): Row => ({
      command: { type: 'subscribe', channel, payload },
      refused: 'forbidden',
    });
    const said = { type: 'publish', id: 'p1', channel, event: 'said', payload: 1 };
    const commands: Record<string, Row> = {
      history: { command: { type: 'history', channel }, refused: own },
      'history, newest first': {
        command: { type: 'history', channel, payload: { reverse: true } },
        refused: own,
      },
      presence: { command: { type: 'presence', channel }, refused: own },
      publish: { command: said, refused: 'forbidden' },
      'publish again': { command: said, refused: 'forbidden' },
      'auth with the token of another': {
        command: { type: 'auth', payload: { token: WATCHER } },
        refused: 'forbidden',
      },
      'subscribe to the own channel of another': {
        command: { type: 'subscribe', channel: `$user.${WATCHER}` },
        refused: 'forbidden',
      },
    };
    if (kind === 'half')
      return {
        ...commands,
        'subscribe and replay': {
          ...subscribe({ position }),
          refused: 'lost: not_retained, without members',
        },
        'history, while subscribed': { command: { type: 'history', channel }, refused: 'forbidden' },
        'presence, while subscribed': { command: { type: 'presence', channel }, refused: 'forbidden' },
      };
    return {
      ...commands,
      subscribe: subscribe({}),
      'subscribe and replay': subscribe({ position }),
      'subscribe and take no part': subscribe({ presence: false, snapshot: false }),
      signal: {
        command: { type: 'signal', channel, event: 'typing', payload: 1 },
        refused: own === 'forbidden' ? own : 'not_subscribed',
      },
      request: { command: { type: 'request', channel, event: 'ask' }, refused: own },
      'request without a channel': { command: { type: 'request', event: 'ask' }, refused: 'forbidden' },
      snapshot: { command: { type: 'snapshot', channel }, refused: 'not_subscribed' },
      presence_update: {
        command: { type: 'presence_update', channel, payload: { data: 1 } },
        refused: 'not_subscribed',
      },
    };
  }

  private ifMember() {
    return ({ user }: HandlerCall): boolean => user !== undefined && this.members.has(user.id);
  }
}

/** A reply that must tell no more than this. */
function shown(payload: Readonly<Record<string, unknown>>): string {
  const { recovery, reason, presence } = payload as Record<string, string | undefined>;
  if (recovery === undefined) return `a reply: ${JSON.stringify(payload)}`;
  return `${recovery}: ${reason}, ${presence === undefined ? 'without' : 'with'} members`;
}

/** `hello` with commands in the same frame. @returns the code and the close with which it is refused. */
async function refusedAtTheDoor(
  matrix: AuthorizationMatrix,
  node: WireServer,
  token: string,
): Promise<string> {
  const client = await matrix.open(node);
  client.sendAll([
    { type: 'hello', id: 'h', payload: { versions: [1], token } },
    { type: 'subscribe', id: 's', channel: 'each.1' },
    { type: 'history', id: 'y', channel: 'half.1' },
  ]);
  const { payload } = await client.next('error');
  const { code } = await client.expectClose();
  if (client.pending.length > 0) throw new Error(`Answered: ${JSON.stringify(client.pending)}`);
  return `${String(payload['code'])}, closed with ${code}`;
}

/** A member, subscribed to everything; what it was told as one does not count. */
async function member(matrix: AuthorizationMatrix): Promise<SessionClient> {
  matrix.members.add(USER);
  const client = await matrix.connect(matrix.left, USER);
  for (const channel of ['each.1', 'plain.1', 'half.1']) await client.subscribe(channel);
  await client.call({ type: 'history', channel: 'each.1' });
  return client;
}

function forget(client: SessionClient): SessionClient {
  client.received.length = 0;
  return client;
}

/** The one who loses access comes back with the ticket. */
async function comeBack(
  matrix: AuthorizationMatrix,
  node: WireServer,
  older: SessionClient,
): Promise<SessionClient> {
  const client = await matrix.open(node);
  await client.hello(USER, { session: older.welcome?.session });
  return client;
}

const SUBJECTS: readonly Subject[] = [
  { title: 'who has no token', enter: (matrix) => matrix.connect(matrix.left) },
  { title: 'another user', enter: (matrix) => matrix.connect(matrix.left, 'eve') },
  {
    title: 'one whose access was revoked',
    async enter(matrix) {
      const client = await member(matrix);
      matrix.members.delete(USER);
      await matrix.right.engine.revoke(USER);
      for (let ended = 0; ended < 3; ended++) await client.take({ type: 'unsubscribed' });
      return forget(client);
    },
  },
  {
    title: 'one from whom each pattern was revoked, by the other node',
    async enter(matrix) {
      const client = await member(matrix);
      matrix.members.delete(USER);
      for (const pattern of ['each.:any', 'plain.:room', 'half.:room'])
        await matrix.right.engine.revoke(USER, pattern);
      for (let ended = 0; ended < 3; ended++) await client.take({ type: 'unsubscribed' });
      return forget(client);
    },
  },
  {
    title: 'one whose authorizations were asked again, and said no',
    async enter(matrix) {
      const client = await member(matrix);
      matrix.members.delete(USER);
      const { missing } = await matrix.right.engine.reauthorize(USER);
      expect(missing).toEqual([]);
      for (const channel of ['each.1', 'plain.1']) await client.take({ type: 'unsubscribed', channel });
      // Of a channel that stays open to everybody, only the list of members is taken away.
      expect((await client.take({ type: 'unsubscribed' })).payload['code']).toBe('unavailable');
      return forget(client);
    },
  },
  {
    title: 'one who lost access while away, and resumes',
    async enter(matrix) {
      const client = await member(matrix);
      client.terminate();
      // Of a client by polls the node learns only by its silence that it is gone: it comes back before that.
      if (matrix.transport !== LONG_POLL)
        await until('the session to end', () => matrix.left.engine.sessionsOf(USER).length === 0);
      matrix.members.delete(USER);
      return comeBack(matrix, matrix.left, client);
    },
  },
  {
    title: 'one who lost access, and takes over on another node',
    async enter(matrix) {
      const client = await member(matrix);
      matrix.members.delete(USER);
      const newer = await comeBack(matrix, matrix.right, client);
      await client.expectClose(4810);
      return newer;
    },
  },
];

/** Those who do not get in: how. */
const SHUT_OUT: readonly (readonly [string, string, (matrix: AuthorizationMatrix) => Promise<string>])[] = [
  [
    'whose token has expired',
    'token_expired, closed with 4008',
    (matrix) => refusedAtTheDoor(matrix, matrix.left, `old ${USER}`),
  ],
  [
    'whose token is not valid',
    'unauthorized, closed with 4801',
    (matrix) => refusedAtTheDoor(matrix, matrix.left, `bad ${USER}`),
  ],
  [
    'who is banned, on the node of the ban and on the other',
    'banned, closed with 4803; banned, closed with 4803; closed with 4803',
    async (matrix) => {
      const client = await member(matrix);
      await matrix.right.engine.ban(USER, { forMs: 600_000 });
      const { code } = await client.expectClose();
      const doors = [
        await refusedAtTheDoor(matrix, matrix.left, USER),
        await refusedAtTheDoor(matrix, matrix.right, USER),
      ];
      return [...doors, `closed with ${code}`].join('; ');
    },
  ],
];

/** Nodes that a matrix is tried on. */
interface Nodes {
  readonly nodes: readonly WireServer[];
  close(): Promise<void>;
}

/** The tests of the whole matrix. @param start two nodes. */
export function describeMatrix(title: string, start: (options: WireClusterOptions) => Promise<Nodes>): void {
  describe.each(SESSION_TRANSPORTS.map((transport) => [transport.name, transport] as const))(
    `${title}, by %s`,
    (_name, transport) => {
      let running: Nodes;
      let matrix: AuthorizationMatrix;
      beforeEach(async () => {
        matrix = new AuthorizationMatrix(transport);
        running = await start(matrix.options);
        await matrix.begin(running.nodes);
      });
      afterEach(async () => {
        matrix.end();
        await running.close();
      });

      describe.each(['each.1', 'plain.1', 'half.1'])('%s', (channel) => {
        it.each(SUBJECTS.map((subject) => [subject.title, subject] as const))(
          'refuses %s',
          async (_, subject) => {
            const client = await subject.enter(matrix);
            expect(await matrix.tryAll(client, channel)).toEqual(matrix.refusals(channel));
            await matrix.stir(channel);
            await matrix.settled(client);
            expect(JSON.stringify(client.received)).not.toContain('secret');
          },
        );
      });

      it.each(SHUT_OUT)('one %s does not get in', async (_, outcome, enter) => {
        expect(await enter(matrix)).toBe(outcome);
      });

      it('a member is refused nothing of it', async () => {
        matrix.members.add(USER);
        const client = await matrix.connect(matrix.left, USER);
        const outcomes = await matrix.tryAll(client, 'each.1');
        expect(Object.entries(outcomes).filter(([, outcome]) => !outcome.includes(':'))).toEqual([
          ['auth with the token of another', 'forbidden'],
          ['subscribe to the own channel of another', 'forbidden'],
          ['subscribe and replay', 'already_subscribed'],
          ['subscribe and take no part', 'already_subscribed'],
        ]);
        expect(JSON.stringify(client.received)).toContain('secret');
      });
    },
  );
}
