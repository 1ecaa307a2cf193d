import { afterEach, describe, expect, it } from '@jest/globals';
import type { RealtimeClientOptions } from '../../../../lib/client/options.js';
import type { Envelope } from '../../../../lib/protocol/envelope.js';
import { WELCOME, type ScriptedConnection } from '../../../support/wire/scripted-server.js';
import { codeOf, Harness } from '../harness.js';

/** What a client may have under way, and more than twice that. */
const WINDOW = 128;
const MANY = 300;
const NAMES = Array.from({ length: MANY }, (_, number) => `rooms.${number}`);

let harness: Harness | undefined;
afterEach(() => harness?.stop());

interface Many {
  readonly h: Harness;
  readonly connection: ScriptedConnection;
  /** What came of each subscribe. */
  readonly outcomes: Promise<unknown>[];
}

/** A live client that subscribed to all of the channels at once. */
async function startMany(
  options: RealtimeClientOptions = {},
  welcome: Record<string, unknown> = {},
  subscribe: Parameters<ReturnType<Harness['client']['channel']>['subscribe']>[0] = {},
): Promise<Many> {
  const h = (harness = await Harness.start(options));
  const connection = await h.live(welcome);
  const outcomes = NAMES.map((name) => codeOf(h.client.channel(name).subscribe(subscribe)));
  await connection.sync();
  return { h, connection, outcomes };
}

type Command = Envelope & { readonly id: string };

/** The commands that came since it was asked last. */
async function taken(connection: ScriptedConnection): Promise<Command[]> {
  await connection.sync();
  const commands: Command[] = [];
  while (connection.unread.length > 0)
    commands.push(await connection.expectCommand(connection.unread[0]?.type ?? ''));
  return commands;
}

const answer = (connection: ScriptedConnection, commands: readonly Command[]) =>
  connection.send(
    ...commands.map(({ id }) => ({
      type: 'reply',
      ref: id,
      payload: { position: { epoch: 'e1', seq: 0 }, recovery: 'new' },
    })),
  );

/** Answers whatever comes until nothing does. @returns the channels, in their order. */
async function answerAll(connection: ScriptedConnection): Promise<unknown[]> {
  const channels: unknown[] = [];
  for (;;) {
    const commands = await taken(connection);
    if (commands.length === 0) return channels;
    channels.push(...commands.map(({ channel }) => channel));
    answer(connection, commands);
  }
}

const states = ({ client }: Harness) => NAMES.map((name) => client.channel(name).state);
const count = (all: unknown[], one: unknown) => all.filter((value) => value === one).length;

describe('a client with many channels', () => {
  it('has so many subscribes under way; each answer lets the next one go, in the order of the calls', async () => {
    const { h, connection, outcomes } = await startMany();
    const first = await taken(connection);
    expect(first.map(({ channel }) => channel)).toEqual(NAMES.slice(0, WINDOW));
    expect(states(h)).toEqual(NAMES.map((_, number) => (number < WINDOW ? 'subscribing' : 'waiting')));
    answer(connection, first.slice(0, 1));
    const [one] = (await taken(connection)) as [Command];
    expect(one.channel).toBe(NAMES[WINDOW]);
    answer(connection, first.slice(1, 3));
    const two = await taken(connection);
    expect(two.map(({ channel }) => channel)).toEqual(NAMES.slice(WINDOW + 1, WINDOW + 3));
    answer(connection, [...first.slice(3), ...two]);
    const rest = await answerAll(connection);
    expect(rest).toEqual(NAMES.slice(WINDOW + 3));
    answer(connection, [one]);
    expect(
      new Set((await Promise.all(outcomes)).map((outcome) => Object.keys(outcome as object)[0])),
    ).toEqual(new Set(['resolved']));
    expect(count(states(h), 'subscribed')).toBe(MANY);
  });

  it('does not let a publish, a request and a page of history wait behind them', async () => {
    const { h, connection } = await startMany();
    await taken(connection);
    void codeOf(h.client.channel('rooms.0').publish('said', 1));
    void codeOf(h.client.request('list'));
    void codeOf(h.client.channel('others.1').history());
    expect((await taken(connection)).map(({ type }) => type).sort()).toEqual([
      'history',
      'publish',
      'request',
    ]);
  });

  it('gives the place of one that was refused, for now or for good, to the next', async () => {
    const { h, connection, outcomes } = await startMany();
    const sent = await taken(connection);
    const [first, second, third] = sent as [Command, Command, Command];
    connection.error(first, 'forbidden');
    connection.error(second, 'unavailable', { retryAfterMs: 5_000 });
    connection.error(third, 'bad_request');
    const next = await taken(connection);
    expect(next.map(({ channel }) => channel)).toEqual(NAMES.slice(WINDOW, WINDOW + 3));
    expect(await Promise.all([outcomes[0], outcomes[2]])).toEqual(['forbidden', 'bad_request']);
    // Its time comes: it waits behind the others.
    h.clock.advance(5_000);
    expect(await taken(connection)).toEqual([]);
    answer(connection, [...sent.slice(3), ...next]);
    expect(await answerAll(connection)).toEqual([...NAMES.slice(WINDOW + 3), 'rooms.1']);
  });

  it('gives the place of one whose answer does not come to the next', async () => {
    const { h, connection } = await startMany({ requestTimeoutMs: 5_000 });
    await taken(connection);
    h.clock.advance(5_000);
    const now = await taken(connection);
    // Each is unsubscribed, as the server may hold it, and tried again behind those that were never sent.
    expect(
      count(
        now.map(({ type }) => type),
        'unsubscribe',
      ),
    ).toBe(WINDOW);
    const subscribes = now.filter(({ type }) => type === 'subscribe');
    expect(subscribes.map(({ channel }) => channel)).toEqual(NAMES.slice(WINDOW, 2 * WINDOW));
    answer(connection, subscribes);
    expect(await answerAll(connection)).toEqual([...NAMES.slice(2 * WINDOW), ...NAMES.slice(0, WINDOW)]);
  });

  it('never sends the subscribe of a channel that was unsubscribed in line, and sends it when it is subscribed again', async () => {
    const { h, connection, outcomes } = await startMany();
    const first = await taken(connection);
    const [left, back] = [h.client.channel('rooms.200'), h.client.channel('rooms.201')];
    await Promise.all([left.unsubscribe(), back.unsubscribe()]);
    const again = codeOf(back.subscribe());
    expect(await Promise.all([outcomes[200], outcomes[201]])).toEqual(['not_subscribed', 'not_subscribed']);
    expect(await taken(connection)).toEqual([]);
    answer(connection, first);
    expect(await answerAll(connection)).toEqual(NAMES.slice(WINDOW).filter((name) => name !== 'rooms.200'));
    expect(await again).toMatchObject({ resolved: { recovery: 'new' } });
    expect(left.state).toBe('unsubscribed');
  });

  it('loses no place when connections are lost, with some under way and some in line, a second time too', async () => {
    const { h, connection } = await startMany();
    answer(connection, (await taken(connection)).slice(0, 10));
    await connection.sync();
    let last = connection;
    // One in line all the time: nothing happens to it.
    const told: string[] = [];
    h.client.channel('rooms.299').on('state', (state) => told.push(state));
    for (let round = 0; round < 2; round++) {
      last.terminate();
      last = await h.back({ user: 'u1' });
      const commands = await taken(last);
      expect(commands.map(({ channel }) => channel)).toEqual(NAMES.slice(0, WINDOW));
      answer(last, commands.slice(0, 10));
      await last.sync();
    }
    expect(told).toEqual([]);
    last.terminate();
    last = await h.back();
    expect(await answerAll(last)).toEqual(NAMES);
    expect(count(states(h), 'subscribed')).toBe(MANY);
  });

  it('loses no place when a listener unsubscribes in the middle of a subscribe', async () => {
    const h = (harness = await Harness.start());
    const connection = await h.live();
    for (const name of NAMES) {
      const room = h.client.channel(name);
      room.on('state', (state) => {
        if (state === 'subscribing') void room.unsubscribe();
      });
      void codeOf(room.subscribe());
    }
    void codeOf(h.client.channel('others.1').subscribe());
    const commands = await taken(connection);
    expect(commands.filter(({ type }) => type === 'subscribe').map(({ channel }) => channel)).toEqual([
      'others.1',
    ]);
  });

  it('fails thousands that cannot be sent one after the other', async () => {
    const h = (harness = await Harness.start());
    const connection = await h.live({ limits: { ...WELCOME.limits, maxMessageBytes: 400 } });
    for (const name of NAMES.slice(0, WINDOW)) void codeOf(h.client.channel(name).subscribe());
    const subscribes = await taken(connection);
    const params = { text: 'x'.repeat(400) };
    const failing = Array.from({ length: 5_000 }, (_, number) =>
      codeOf(h.client.channel(`failing.${number}`).subscribe({ params })),
    );
    void codeOf(h.client.channel('others.1').subscribe());
    answer(connection, subscribes.slice(0, 1));
    expect((await taken(connection)).map(({ channel }) => channel)).toEqual(['others.1']);
    expect(new Set(await Promise.all(failing))).toEqual(new Set(['message_too_large']));
    expect(h.errors).toEqual([]);
  });

  it('ends those in line with the client, and takes them up again when it is opened again', async () => {
    const { h, connection, outcomes } = await startMany();
    await taken(connection);
    await h.client.close();
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['unavailable']));
    const again = NAMES.map((name) => {
      void h.client.connect();
      return codeOf(h.client.channel(name).subscribe());
    });
    const next = await h.server.accept();
    await next.welcome();
    await h.state('live');
    expect(await answerAll(next)).toEqual(NAMES);
    expect(await Promise.all(again)).toHaveLength(MANY);
  });
});
