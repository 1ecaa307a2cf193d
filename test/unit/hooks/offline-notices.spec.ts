import { beforeEach, describe, expect, it } from '@jest/globals';
import { ThrottledLog } from '../../../lib/core/async/throttled-log.js';
import { TimeLeft } from '../../../lib/core/async/time-left.js';
import { Deliveries } from '../../../lib/hooks/deliveries.js';
import type { OfflineHookEvent } from '../../../lib/hooks/hook-event.js';
import { OfflineNotices, type OfflineLimits } from '../../../lib/hooks/offline-notices.js';
import type { TargetLimits } from '../../../lib/hooks/target-queue.js';
import type { OnlineUsers } from '../../../lib/nest/hooks.js';
import { ManualClock, settle } from '../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../support/engine/recording-logger.js';
import { FakeTarget } from '../../support/hooks/fake-target.js';

let clock: ManualClock;
let logger: RecordingLogger;
let target: FakeTarget;
let got: OfflineHookEvent[];
/** Users who are online, and nodes that do not answer. */
let online: Set<string>;
let missing: string[];
let asked: (readonly string[])[];
/** Places in logs that were erased before the hooks knew of the notice. */
let erasedBefore: Set<number>;

beforeEach(() => {
  clock = new ManualClock();
  logger = new RecordingLogger();
  got = [];
  target = new FakeTarget('push');
  target.answer = (event) => void got.push(event as OfflineHookEvent);
  online = new Set();
  missing = [];
  asked = [];
  erasedBefore = new Set();
});

interface Options {
  readonly limits?: Partial<OfflineLimits>;
  readonly delivery?: Partial<TargetLimits>;
  readonly targets?: readonly FakeTarget[];
  readonly ask?: (users: readonly string[]) => Promise<OnlineUsers>;
}

function make({ limits = {}, delivery = {}, targets = [target], ask }: Options = {}) {
  const journal = new ThrottledLog(logger, clock);
  const entropy = { random: () => 0 };
  const deliveries = new Deliveries({ targets, clock, entropy, journal, limits: delivery });
  const find = async (users: readonly string[]): Promise<OnlineUsers> => {
    asked.push(users);
    return { online: new Set(users.filter((user) => online.has(user))), missing };
  };
  const notices = new OfflineNotices({
    deliveries,
    online: ask ?? find,
    isErased: ({ seq }) => erasedBefore.has(seq),
    clock,
    journal,
    limits,
  });
  return { notices, deliveries };
}

const notice = (id: string, payload: unknown = {}, seq = 1, user = 'bob') => ({
  event: 'notice',
  id,
  payload,
  place: { channel: `$user.${user}`, epoch: 'e', seq },
});
const lines = (text: string) => logger.records.filter(({ message }) => message.includes(text));
const ids = () => got.map(({ user, notice }) => `${user} ${notice.id}`);

describe('notices to users', () => {
  it('are handed over where the user has no session on any node, with what was published and when', async () => {
    const { notices } = make();
    online.add('ada');
    const at = clock.now();
    notices.published('ada', notice('n1'));
    notices.published('bob', notice('n1', { text: 'hello' }));
    await settle();
    expect(got).toEqual([
      {
        id: expect.stringMatching(/^[\w-]{43}$/),
        type: 'user.offline',
        at,
        user: 'bob',
        notice: { event: 'notice', id: 'n1', payload: { text: 'hello' } },
      },
    ]);
    expect(notices.size).toEqual({ notices: 0, bytes: 0 });
  });

  it('have the same id when they are published again, and another one for each user and each notice', async () => {
    const { notices } = make();
    for (const [user, id] of [
      ['ada', 'n1'],
      ['ada', 'n1'],
      ['ada', 'n2'],
      ['bob', 'n1'],
      ['ada"', 'n1'],
      ['a', 'dan1'],
    ] as const)
      notices.published(user, notice(id));
    await settle();
    const [first, again, ...others] = got.map(({ id }) => id);
    expect(again).toBe(first);
    expect(new Set([first, ...others]).size).toBe(5);
  });

  it('are asked about many users at once, each once, while earlier ones are asked about', async () => {
    const { notices } = make();
    notices.published('u0', notice('n'));
    for (let index = 1; index <= 300; index++) {
      notices.published(`u${index}`, notice('a'));
      notices.published(`u${index}`, notice('b'));
    }
    while (notices.size.notices > 0) await settle();
    expect(asked.map(({ length }) => length)).toEqual([1, 128, 128, 44]);
    expect(got).toHaveLength(601);
    // Of one user in the order in which they were published.
    for (let index = 1; index <= 300; index++)
      expect(ids().filter((line) => line.startsWith(`u${index} `))).toEqual([`u${index} a`, `u${index} b`]);
  });

  it('cost nothing where no target wants them', async () => {
    const { notices } = make({ targets: [new FakeTarget('rooms', { types: ['channel.occupied'] })] });
    notices.published('ada', notice('n1'));
    await settle();
    expect(asked).toEqual([]);
    expect(notices.size.notices).toBe(0);
  });

  it('wait while a node does not answer, and are handed over once all have', async () => {
    const { notices } = make();
    missing = ['node-2'];
    online.add('ada');
    notices.published('ada', notice('n1'));
    notices.published('bob', notice('n1'));
    notices.published('bob', notice('n2'));
    await clock.advanceAsync(9_000);
    notices.published('bob', notice('n3'));
    expect(got).toEqual([]);
    expect(notices.size.notices).toBe(3);
    expect(lines('as these nodes did not answer: ["node-2"]').map(({ level }) => level)).toEqual(['warn']);
    missing = [];
    await clock.advanceAsync(2_000);
    expect(ids()).toEqual(['bob n1', 'bob n2', 'bob n3']);
    expect(asked.slice(-1)).toEqual([['bob']]);
  });

  it('are handed over in order, also those that were published while a node did not answer', async () => {
    const { notices } = make();
    missing = ['node-2'];
    notices.published('bob', notice('n1'));
    notices.published('bob', notice('n2'));
    await settle();
    missing = [];
    await clock.advanceAsync(2_000);
    expect(ids()).toEqual(['bob n1', 'bob n2']);
  });

  it('are not handed over where a node has not answered for a minute, which is logged', async () => {
    const { notices } = make();
    missing = ['node-2'];
    notices.published('ada', notice('n1'));
    await clock.advanceAsync(59_999);
    expect(notices.size.notices).toBe(1);
    notices.published('bob', notice('n2'));
    await clock.advanceAsync(1);
    expect(notices.size.notices).toBe(1);
    expect(lines('1 notices are not handed to hooks')).toHaveLength(1);
    expect(asked.length).toBeLessThan(35);
    missing = [];
    await clock.advanceAsync(2_000);
    expect(ids()).toEqual(['bob n2']);
    expect(JSON.stringify(logger.records)).not.toMatch(/ada|bob/);
  });

  it('wait while the nodes are not known', async () => {
    let isDown = true;
    const ask = async (): Promise<OnlineUsers> => {
      if (isDown) throw new Error('the broker is away');
      return { online: new Set(), missing: [] };
    };
    const { notices } = make({ ask });
    notices.published('ada', notice('n1'));
    await settle();
    expect(lines('is not known, as Error: the broker is away')).toHaveLength(1);
    isDown = false;
    await clock.advanceAsync(1_999);
    expect(got).toEqual([]);
    await clock.advanceAsync(1);
    expect(ids()).toEqual(['ada n1']);
  });

  it('are bounded in number and in bytes, and those without room are dropped and logged', async () => {
    const ask = () => new Promise<OnlineUsers>(() => undefined);
    const few = make({ limits: { maxNotices: 10 }, ask }).notices;
    for (let index = 0; index < 100; index++) few.published(`u${index}`, notice('n'));
    expect(few.size.notices).toBe(10);
    expect(lines('10 wait (at most 10').map(({ level }) => level)).toEqual(['error']);
    const small = make({ limits: { maxBytes: 100_000 }, ask }).notices;
    for (let index = 0; index < 100; index++) small.published(`u${index}`, notice('n', 'x'.repeat(10_000)));
    expect(small.size.bytes).toBeLessThanOrEqual(100_000);
    expect(small.size.bytes).toBeGreaterThan(70_000);
  });

  it('are dropped where a target could never have room for them, and hold nothing back', async () => {
    const { notices } = make({ delivery: { maxBytes: 100_000 } });
    notices.published('u1', notice('big', 'x'.repeat(47_000)));
    notices.published('u1', notice('n2', 'x'.repeat(20_000)));
    await settle();
    expect(ids()).toEqual(['u1 n2']);
    expect(lines('Hooks do not keep up with notices')).toHaveLength(1);
  });

  it('wait for room at their targets, and lose nothing', async () => {
    target.answer = undefined;
    const { notices, deliveries } = make({ delivery: { maxEvents: 20, concurrency: 4 } });
    for (let index = 0; index < 100; index++) notices.published(`u${index}`, notice('n'));
    await settle();
    expect(notices.size.notices).toBe(90);
    expect(deliveries.room()).toBe(10);
    for (let count = 0; count < 100; count++) {
      target.open[0]?.take();
      await settle();
    }
    expect(target.taken).toHaveLength(100);
    expect(notices.size).toEqual({ notices: 0, bytes: 0 });
    expect(deliveries.status[0]).toMatchObject({ taken: 100, givenUp: 0 });
    expect(logger.records).toEqual([]);
  });

  it('look for room again by themselves where other events took it', async () => {
    target.answer = undefined;
    const { notices, deliveries } = make({ delivery: { maxEvents: 2 } });
    void deliveries.accept({ id: 'c', type: 'channel.occupied', at: 0, channel: 'c' });
    notices.published('ada', notice('n1'));
    await settle();
    expect(target.open.map(({ id }) => id)).toEqual(['c']);
    target.of('c').take();
    await clock.advanceAsync(250);
    expect(target.open).toHaveLength(1);
  });

  it('publish without waiting: nothing is asked before the caller has gone on', () => {
    const { notices } = make();
    for (let index = 0; index < 10; index++) notices.published(`u${index}`, notice('n'));
    expect(asked.length).toBeLessThanOrEqual(1);
    expect(target.attempts).toEqual([]);
  });

  it('are still handed over when the node stops, if that is soon done', async () => {
    target.answer = undefined;
    const { notices } = make();
    notices.published('ada', notice('n1'));
    let isClosed = false;
    const closing = notices.close(new TimeLeft(clock, 60_000)).then(() => (isClosed = true));
    notices.published('ada', notice('late'));
    await settle();
    expect(isClosed).toBe(false);
    target.open[0]?.take();
    await closing;
    expect(target.taken).toHaveLength(1);
    expect(logger.records).toEqual([]);
    expect(notices.size.notices).toBe(0);
  });

  it('are counted in the log where the node stops before they are taken', async () => {
    target.answer = undefined;
    const { notices } = make({ delivery: { maxEvents: 4 } });
    for (let index = 0; index < 5; index++) notices.published(`u${index}`, notice('n'));
    await settle();
    const closing = notices.close(new TimeLeft(clock, 60_000));
    await clock.advanceAsync(3_000);
    await closing;
    expect(lines('5 notices to users who may be offline were not taken')).toHaveLength(1);
    await settle();
    expect(target.open).toHaveLength(2);
  });

  it('are waited for no longer than there is time', async () => {
    target.answer = undefined;
    const { notices } = make();
    notices.published('ada', notice('n1'));
    await settle();
    let isClosed = false;
    const closing = notices.close(new TimeLeft(clock, 700)).then(() => (isClosed = true));
    await clock.advanceAsync(699);
    expect(isClosed).toBe(false);
    await clock.advanceAsync(1);
    await closing;
    expect(lines('1 notices to users who may be offline were not taken')).toHaveLength(1);
  });

  it('do not delay a node that stops while none waits', async () => {
    const { notices, deliveries } = make();
    notices.published('ada', notice('n1'));
    await settle();
    await notices.close(new TimeLeft(clock, 60_000));
    await deliveries.close(new TimeLeft(clock, 60_000));
    expect(clock.pending).toBe(0);
    expect(logger.records).toEqual([]);
  });
});

describe('erased notices (G29)', () => {
  const erase = (notices: OfflineNotices, ...seqs: readonly number[]) =>
    notices.erased('$user.bob', new Set(seqs));

  it('are not handed over where they wait for the answer whether the user is there, nor those behind them', async () => {
    let answer: (found: OnlineUsers) => void = () => undefined;
    const { notices } = make({ ask: () => new Promise((resolve) => (answer = resolve)) });
    notices.published('bob', notice('n1', {}, 1));
    notices.published('bob', notice('n2', {}, 2));
    notices.published('bob', notice('n3', {}, 3));
    notices.published('cy', notice('c1', {}, 1, 'cy'));
    erase(notices, 1, 3);
    erase(notices, 1, 3);
    expect(notices.size.notices).toBe(2);
    for (let question = 0; question < 2; question++) {
      answer({ online: new Set(), missing: [] });
      await settle();
    }
    expect(ids()).toEqual(['bob n2', 'cy c1']);
    expect(notices.size).toEqual({ notices: 0, bytes: 0 });
  });

  it('are not handed over where they wait for a node that does not answer', async () => {
    missing = ['node-2'];
    const { notices } = make();
    notices.published('bob', notice('n1', {}, 1));
    await settle();
    missing = [];
    erase(notices, 1);
    await clock.advanceAsync(2_000);
    expect(ids()).toEqual([]);
    expect(notices.size).toEqual({ notices: 0, bytes: 0 });
  });

  it('are not handed over where they wait for room at the targets', async () => {
    target.answer = undefined;
    const { notices } = make({ delivery: { maxEvents: 2 } });
    for (const seq of [1, 2, 3]) notices.published('bob', notice(`n${seq}`, {}, seq));
    await settle();
    expect(notices.size.notices).toBe(2);
    erase(notices, 2);
    target.answer = (event) => void got.push(event as OfflineHookEvent);
    target.open[0]?.take();
    await clock.advanceAsync(250);
    expect(ids()).toEqual(['bob n3']);
    expect(notices.size).toEqual({ notices: 0, bytes: 0 });
  });

  it('are not kept where they were erased before the hooks knew of them', async () => {
    erasedBefore.add(1);
    const { notices } = make();
    notices.published('bob', notice('n1', {}, 1));
    notices.published('bob', notice('n2', {}, 2));
    await settle();
    expect(ids()).toEqual(['bob n2']);
  });
});
