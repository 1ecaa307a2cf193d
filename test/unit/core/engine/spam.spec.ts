import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../../lib/brokers/memory/index.js';
import type { AdministrativeAct } from '../../../../lib/core/ports/observer.js';
import type { ObservedSpam, SpamContext, SpamPolicy, SpamVerdict } from '../../../../lib/core/ports/spam.js';
import type { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

const HOUR = 3_600_000;
const POLICY: Omit<SpamPolicy, 'detector'> = {
  steps: [
    { step: 'warn' },
    { step: 'slow', everyMs: 10_000, forMs: 600_000 },
    { step: 'mute', forMs: 600_000 },
    { step: 'ban', forMs: HOUR },
  ],
  decayMs: 30 * 60_000,
  onFailure: 'allow',
};

const started: EngineHarness[] = [];
afterEach(async () => {
  for (const harness of started.splice(0)) await harness.stop();
});

type Verdict = SpamVerdict | Promise<SpamVerdict>;
type Options = NonNullable<ConstructorParameters<typeof EngineHarness>[1]>;

/** A node whose detector takes what the text of a payload says: `spam`, `bad` (refused, no strike), or anything else. */
class Site {
  readonly asked: SpamContext[] = [];
  readonly spam: ObservedSpam[] = [];
  readonly acts: AdministrativeAct[] = [];
  verdict: (context: SpamContext) => Verdict = ({ payload }) =>
    payload === 'spam' ? 'escalate' : payload === 'bad' ? 'refuse' : 'allow';
  harness!: EngineHarness;
  private ids = 0;

  static async start(
    policy: Partial<SpamPolicy> = {},
    options: Options = {},
    channels = [channel('rooms.:room')],
  ): Promise<Site> {
    const site = new Site();
    site.harness = await EngineHarness.start(channels, {
      ...options,
      settings: { heartbeat: { intervalMs: 10 * HOUR, timeoutMs: 10 * HOUR }, ...options.settings },
      spam: {
        ...POLICY,
        detector: {
          judge: (context) => {
            site.asked.push(context);
            return site.verdict(context);
          },
        },
        ...policy,
      },
      observers: [
        {
          onSpam: (spam) => void site.spam.push(spam),
          onAct: (act) => void site.acts.push(act as AdministrativeAct),
        },
      ],
    });
    started.push(site.harness);
    return site;
  }

  /** Publishes, and waits for the answer. @returns its outcome in words. */
  async say(client: FakeConnection, payload: unknown, more: object = {}): Promise<string> {
    const command = {
      type: 'publish',
      id: `p${++this.ids}`,
      channel: 'rooms.1',
      event: 'said',
      payload,
      ...more,
    };
    client.send(command);
    await quiet();
    return outcomeOf(client, command.id);
  }

  async texts(of = 'rooms.1'): Promise<unknown[]> {
    const { events } = await this.harness.engine.application.history(of, { limit: 1_000 });
    return events.map(({ payload }) => payload);
  }
}

function outcomeOf(client: FakeConnection, id: string): string {
  const answer = client.take().find(({ ref }) => ref === id);
  if (answer === undefined) return 'none';
  if (answer.type === 'reply') return 'ok';
  const { code, reason, retryAfterMs } = answer.payload as RealtimeError;
  return [code, reason, retryAfterMs].filter((part) => part !== undefined).join(' ');
}

function gate<T>(): { readonly opened: Promise<T>; open(value: T): void; fail(error: Error): void } {
  let open!: (value: T) => void;
  let fail!: (error: Error) => void;
  const opened = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { opened, open, fail };
}

describe('steps against spam (G31)', () => {
  it('are a warning, slow mode, a mute and a ban, one after another (P33a)', async () => {
    const site = await Site.start();
    const { clock } = site.harness;
    const client = await site.harness.greet('user:u1');
    expect(await site.say(client, 'hello')).toBe('ok');
    expect(await site.say(client, 'spam')).toBe('refused spam_warning');
    expect(await site.say(client, 'fine')).toBe('ok');
    await clock.advanceAsync(3_000);
    expect(await site.say(client, 'spam')).toBe('muted spam');
    expect(await site.say(client, 'one')).toBe('ok');
    expect(await site.say(client, 'two')).toBe('muted slow_mode 10000');
    await clock.advanceAsync(10_000);
    expect(await site.say(client, 'spam')).toBe('muted spam 600000');
    expect(await site.say(client, 'three')).toBe('muted 600000');
    await clock.advanceAsync(600_000);
    expect(await site.say(client, 'four')).toBe('ok');
    await clock.advanceAsync(10_000);
    await site.say(client, 'spam');
    expect(client.closed?.code).toBe(4803);
    const again = await site.harness.greet('user:u1');
    expect(again.closed?.code).toBe(4803);
    expect(await site.texts()).toEqual(['hello', 'fine', 'one', 'four']);
    await clock.advanceAsync(HOUR);
    const later = await site.harness.greet('user:u1');
    expect(await site.say(later, 'five')).toBe('ok');
    expect(site.spam.map(({ step, strikes }) => [step, strikes])).toEqual([
      ['warn', 1],
      ['slow', 2],
      ['mute', 3],
      ['ban', 4],
    ]);
    const why = (strike: number) => ({ by: 'spam', reason: `strike ${strike}` });
    const whom = { of: 'user', id: 'u1' };
    expect(site.acts).toEqual([
      { kind: 'restrict', act: 'slow', whom, everyMs: 10_000, forMs: 600_000, ...why(2) },
      { kind: 'restrict', act: 'mute', whom, forMs: 600_000, ...why(3) },
      { kind: 'ban', user: 'u1', forMs: HOUR, ...why(4) },
    ]);
  });

  it('are one for what was sent before the client could know of it', async () => {
    const site = await Site.start();
    const client = await site.harness.greet('user:u1');
    for (let index = 0; index < 5; index++)
      client.send({ type: 'publish', id: `s${index}`, channel: 'rooms.1', event: 'said', payload: 'spam' });
    await quiet();
    expect(client.take('error').map(({ payload }) => (payload as RealtimeError).reason)).toEqual([
      'spam_warning',
      'spam',
      'spam',
      'spam',
      'spam',
    ]);
    await site.harness.clock.advanceAsync(2_999);
    expect(await site.say(client, 'spam')).toBe('refused spam');
    expect(site.spam.map(({ step, strikes }) => [step, strikes])).toEqual([
      ['warn', 1],
      ...Array.from({ length: 5 }, () => [undefined, 1]),
    ]);
    await site.harness.clock.advanceAsync(1);
    expect(await site.say(client, 'spam')).toBe('muted spam');
  });

  it('repeat the last one, and are forgotten one by one', async () => {
    const site = await Site.start({
      steps: [{ step: 'warn' }, { step: 'mute', forMs: 1_000 }],
      decayMs: 60_000,
    });
    const { clock } = site.harness;
    const client = await site.harness.greet('user:u1');
    const next = async (afterMs: number): Promise<string> => {
      await clock.advanceAsync(afterMs);
      return site.say(client, 'spam');
    };
    expect(await next(0)).toBe('refused spam_warning');
    expect(await next(5_000)).toBe('muted spam 1000');
    expect(await next(5_000)).toBe('muted spam 1000');
    expect(site.spam.at(-1)?.strikes).toBe(3);
    expect(await next(59_999)).toBe('muted spam 1000');
    expect(site.spam.at(-1)?.strikes).toBe(4);
    expect(await next(4 * 60_000)).toBe('refused spam_warning');
    expect(site.spam.at(-1)?.strikes).toBe(1);
  });

  it('are charged to the user, whatever session or channel there is', async () => {
    const site = await Site.start();
    const one = await site.harness.greet('user:u1');
    const other = await site.harness.greet('user:u1');
    const stranger = await site.harness.greet('user:u2');
    await site.say(one, 'spam');
    await site.harness.clock.advanceAsync(3_000);
    expect(await site.say(other, 'spam', { channel: 'rooms.2' })).toBe('muted spam');
    expect(await site.say(stranger, 'spam')).toBe('refused spam_warning');
  });

  it('restrict the session of an anonymous client, and not others at its address', async () => {
    const site = await Site.start({ steps: [{ step: 'mute', forMs: 9_000 }] });
    const one = await site.harness.greet();
    const other = await site.harness.greet();
    expect(await site.say(one, 'spam')).toBe('muted spam 9000');
    expect(await site.say(one, 'hello')).toBe('muted 9000');
    expect(await site.say(other, 'hello')).toBe('ok');
    expect(site.acts).toMatchObject([
      { act: 'mute', whom: { of: 'session', id: expect.any(String) as unknown } },
    ]);
  });

  it('take no step for what is only refused', async () => {
    const site = await Site.start();
    const client = await site.harness.greet('user:u1');
    for (let index = 0; index < 5; index++) {
      await site.harness.clock.advanceAsync(5_000);
      expect(await site.say(client, 'bad')).toBe('refused spam');
    }
    expect(site.spam.map(({ step, strikes }) => [step, strikes])).toEqual(
      Array.from({ length: 5 }, () => [undefined, 0]),
    );
  });

  it('are known on other nodes, with the strikes', async () => {
    const clock = new ManualClock();
    const store = new MemoryStore({ clock, entropy: new SeededEntropy(9) });
    const nodes: Site[] = [];
    for (const seed of [1, 2])
      nodes.push(
        await Site.start(
          {},
          {
            clock,
            seed,
            broker: memoryBroker({ store }),
            settings: { nodeId: `node-${seed}` },
          },
        ),
      );
    const [here, there] = nodes as [Site, Site];
    const one = await here.harness.greet('user:u1');
    const other = await there.harness.greet('user:u1');
    await here.say(one, 'spam');
    await clock.advanceAsync(3_000);
    await here.say(one, 'spam');
    expect(await there.say(other, 'a')).toBe('ok');
    expect(await there.say(other, 'b')).toBe('muted slow_mode 10000');
    await clock.advanceAsync(10_000);
    // The third strike, and the first on this node.
    expect(await there.say(other, 'spam')).toBe('muted spam 600000');
    expect(await here.say(one, 'c')).toBe('muted 600000');
  });

  it('are in force here where too many are to be told to others, and their acts have failed', async () => {
    const site = await Site.start({ steps: [{ step: 'mute', forMs: 9_000 }] });
    const outcomes: unknown[] = [];
    const { bus } = site.harness.broker;
    let sent = 0;
    const control = bus.control.bind(bus);
    bus.control = (message) => {
      sent++;
      return control(message);
    };
    for (let index = 0; index < 103; index++) {
      const client = await site.harness.greet(`user:u${index}`);
      outcomes.push(await site.say(client, 'spam'), await site.say(client, 'hello'));
    }
    expect(new Set(outcomes)).toEqual(new Set(['muted spam 9000', 'muted 9000']));
    expect(sent).toBe(100);
    expect(site.acts).toHaveLength(103);
  });
});

describe('what the detector is asked about (G31)', () => {
  it('is what may be published, with who, where and what', async () => {
    const site = await Site.start({}, {}, [
      channel('rooms.:room', {
        behaviour: {
          authorize: { subscribe: 'public', publish: ({ channel: at }) => at !== 'rooms.closed' },
        },
      }),
    ]);
    const client = await site.harness.greet('user:u1');
    expect(await site.say(client, 'spam', { channel: 'rooms.closed' })).toBe('forbidden');
    expect(await site.say(client, 'spam', { event: 'other' })).toMatch(/^forbidden/);
    expect(site.asked).toEqual([]);
    await site.say(client, 'x');
    expect(site.asked).toEqual([
      {
        user: { id: 'u1' },
        session: expect.any(String) as unknown,
        address: '127.0.0.1',
        channel: 'rooms.1',
        pattern: 'rooms.:room',
        event: 'said',
        payload: 'x',
        ts: site.harness.clock.monotonic(),
      },
    ]);
  });

  it('is not what the application publishes, nor what is exempt, nor other channels', async () => {
    const site = await Site.start(
      { channels: ['rooms.:room', 'desk'] },
      { isExempt: ({ id }, at) => id === 'mod' && at === 'rooms.1' },
      [channel('rooms.:room'), channel('games.:game'), channel('desk')],
    );
    await site.harness.engine.application.publish('rooms.1', 'said', 'spam');
    const mod = await site.harness.greet('user:mod');
    expect(await site.say(mod, 'spam')).toBe('ok');
    expect(await site.say(mod, 'spam', { channel: 'games.1' })).toBe('ok');
    expect(site.asked).toEqual([]);
    expect(await site.say(mod, 'spam', { channel: 'rooms.2' })).toBe('refused spam_warning');
    await site.harness.clock.advanceAsync(3_000);
    expect(await site.say(mod, 'spam', { channel: 'desk' })).toBe('muted spam');
  });

  it('asks about a user whom isExempt failed for', async () => {
    const site = await Site.start(
      {},
      {
        isExempt: () => {
          throw new Error('no');
        },
      },
    );
    const client = await site.harness.greet('user:u1');
    expect(await site.say(client, 'spam')).toBe('refused spam_warning');
    expect(site.harness.errors).toHaveLength(1);
  });

  it('is each publish once: not what is sent again after a failure, and what has other content (P33b)', async () => {
    const site = await Site.start();
    const client = await site.harness.greet('user:u1');
    const { log } = site.harness.broker;
    const append = log.appendMany.bind(log);
    log.appendMany = () => Promise.reject(new Error('The broker is away'));
    for (let index = 0; index < 3; index++)
      expect(await site.say(client, 'x', { id: 'same' })).toMatch(/^(internal|unavailable|outcome_unknown)/);
    expect(site.asked).toHaveLength(1);
    await site.say(client, 'spam', { id: 'same' });
    expect(site.asked).toHaveLength(2);
    await site.say(client, 'x', { id: 'same', channel: 'rooms.2' });
    expect(site.asked).toHaveLength(3);
    log.appendMany = append;
    expect(await site.say(client, 'x', { id: 'same' })).toBe('ok');
    expect(await site.say(client, 'x', { id: 'same' })).toBe('ok');
    expect(site.asked).toHaveLength(3);
    expect(await site.texts()).toEqual(['x']);
    await site.harness.clock.advanceAsync(300_000);
    await site.say(client, 'x', { id: 'same' });
    expect(site.asked).toHaveLength(4);
  });

  it('is each publish where the log remembers no ids', async () => {
    const policy = { log: { retain: true, size: 100, maxBytes: 1e6, ttlMs: HOUR, dedupeMs: 0 } };
    const site = await Site.start({}, {}, [channel('rooms.:room', { policy })]);
    const client = await site.harness.greet('user:u1');
    for (let index = 0; index < 3; index++) await site.say(client, 'x', { id: 'same' });
    expect(site.asked).toHaveLength(3);
  });
});

describe('a detector that takes its time (G31)', () => {
  it('lets publishes keep their order', async () => {
    const site = await Site.start();
    const first = gate<SpamVerdict>();
    site.verdict = ({ payload }) => (payload === 'a' ? first.opened : 'allow');
    const client = await site.harness.greet('user:u1');
    for (const payload of ['a', 'b'])
      client.send({ type: 'publish', id: payload, channel: 'rooms.1', event: 'said', payload });
    await quiet();
    expect(await site.texts()).toEqual([]);
    first.open('allow');
    await quiet();
    expect(await site.texts()).toEqual(['a', 'b']);
  });

  it.each([
    ['escalate', 'refused spam_warning'],
    ['refuse', 'refused spam'],
  ] as const)('refuses what it finds later: %s', async (verdict, outcome) => {
    const site = await Site.start();
    site.verdict = () => Promise.resolve(verdict);
    const client = await site.harness.greet('user:u1');
    expect(await site.say(client, 'x')).toBe(outcome);
    expect(await site.texts()).toEqual([]);
  });

  it.each(['revoke', 'mute', 'ban'] as const)(
    'does not let pass what a %s took while it was asked',
    async (act) => {
      let handled = 0;
      const site = await Site.start({}, {}, [
        channel('rooms.:room', { behaviour: { publish: new Map([['said', () => void handled++]]) } }),
      ]);
      const judging = gate<SpamVerdict>();
      site.verdict = () => judging.opened;
      const client = await site.harness.greet('user:u1');
      client.send({ type: 'publish', id: 'p', channel: 'rooms.1', event: 'said', payload: 'x' });
      await quiet();
      const { engine } = site.harness;
      if (act === 'revoke') await engine.revoke('u1', 'rooms.1');
      else await engine.restrict({ act, whom: { of: 'user', id: 'u1' }, channel: 'rooms.1' });
      judging.open('allow');
      await quiet();
      expect(outcomeOf(client, 'p')).toBe({ revoke: 'forbidden', mute: 'muted', ban: 'banned' }[act]);
      expect(handled).toBe(0);
      expect(await site.texts()).toEqual([]);
    },
  );

  it('runs the handler once for a publish that another connection sent again', async () => {
    let handled = 0;
    const site = await Site.start({}, {}, [
      channel('rooms.:room', { behaviour: { publish: new Map([['said', () => void handled++]]) } }),
    ]);
    const judging = gate<SpamVerdict>();
    site.verdict = () => (site.asked.length === 1 ? judging.opened : 'allow');
    const one = await site.harness.greet('user:u1');
    const other = await site.harness.greet('user:u1');
    one.send({ type: 'publish', id: 'p', channel: 'rooms.1', event: 'said', payload: 'x' });
    await quiet();
    expect(await site.say(other, 'x', { id: 'p' })).toBe('ok');
    judging.open('allow');
    await quiet();
    expect(outcomeOf(one, 'p')).toBe('ok');
    expect(handled).toBe(1);
    expect(await site.texts()).toEqual(['x']);
  });
});

describe('a detector that fails (G31)', () => {
  const failures: [string, () => Verdict][] = [
    [
      'throws',
      () => {
        throw new Error('secret-of-detector');
      },
    ],
    ['rejects', () => Promise.reject(new Error('secret-of-detector'))],
    ['returns no verdict', () => 'perhaps' as SpamVerdict],
    ['resolves with no verdict', () => Promise.resolve(undefined as unknown as SpamVerdict)],
  ];

  it.each(failures)('lets publishes pass, and the log says so once: it %s', async (_, verdict) => {
    const site = await Site.start();
    site.verdict = verdict;
    const client = await site.harness.greet('user:u1');
    for (let index = 0; index < 3; index++) expect(await site.say(client, `t${index}`)).toBe('ok');
    expect(site.harness.errors).toHaveLength(1);
    expect(site.spam).toEqual([]);
  });

  it.each(failures)('refuses them where it is wanted: it %s', async (_, verdict) => {
    const site = await Site.start({ onFailure: 'refuse' });
    site.verdict = verdict;
    const client = await site.harness.greet('user:u1');
    expect(await site.say(client, 'x')).toBe('unavailable');
    expect(await site.texts()).toEqual([]);
  });

  it('passes what a detector that hangs was asked about after handlerTimeout, and the next without the wait', async () => {
    const site = await Site.start(
      {},
      { settings: { handlerTimeoutMs: 1_000, circuits: { clientFailures: 2 } } },
    );
    site.verdict = () => new Promise(() => undefined);
    const client = await site.harness.greet('user:u1');
    for (const payload of ['a', 'b']) {
      client.send({ type: 'publish', id: payload, channel: 'rooms.1', event: 'said', payload });
      await quiet();
      await site.harness.clock.advanceAsync(999);
      expect(await site.texts()).not.toContain(payload);
      await site.harness.clock.advanceAsync(1);
      await quiet();
      expect(outcomeOf(client, payload)).toBe('ok');
    }
    // Its circuit is open.
    expect(await site.say(client, 'c')).toBe('ok');
    expect(site.asked).toHaveLength(2);
  });
});

describe('slow mode and spam (G31)', () => {
  it('gives the place of a refused publish back', async () => {
    const site = await Site.start();
    await site.harness.engine.restrict({
      act: 'slow',
      whom: { of: 'everybody', id: '' },
      channel: 'rooms.1',
      everyMs: 60_000,
    });
    const client = await site.harness.greet('user:u1');
    expect(await site.say(client, 'bad')).toBe('refused spam');
    expect(await site.say(client, 'hello')).toBe('ok');
    expect(await site.say(client, 'spam')).toBe('muted slow_mode 60000');
    // What slow mode refuses is not judged.
    expect(site.asked).toHaveLength(2);
  });
});
