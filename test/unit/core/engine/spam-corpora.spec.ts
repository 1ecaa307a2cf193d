import { afterEach, describe, expect, it } from '@jest/globals';
import { repeatsAndBursts } from '../../../../lib/core/access/spam/repeats-and-bursts.js';
import type { ControlMessage } from '../../../../lib/core/ports/control.js';
import type { ObservedSpam, SpamPolicy } from '../../../../lib/core/ports/spam.js';
import type { Envelope } from '../../../../lib/protocol/envelope.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { settle } from '../../../support/engine/manual-clock.js';
import { floods, ordinaryChat, type ChatLine } from '../../../support/spam/corpus.js';

const HOUR = 3_600_000;
/** The steps that the module has by itself. */
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

const LADDER = ['warn', 'slow', 'mute', 'ban'] as const;
/** The step at which each flood ended; the recordings are short. Default: a mute. */
const REACHED: Readonly<Record<string, (typeof LADDER)[number]>> = {
  'a drip of different texts below the rate of bursts': 'slow',
  'different texts in one burst': 'slow',
  'one text in one burst': 'warn',
  'single letters': 'slow',
};
/** Most publishes of it that passed. Default: 5. */
const PASSED: Readonly<Record<string, number>> = {
  'the same short text': 8,
  'two texts in turn': 6,
  'a drip of different texts below the rate of bursts': 138,
  'different texts in one burst': 15,
  'single letters': 24,
};

let harness: EngineHarness;
afterEach(() => harness.stop());

/** What became of a corpus that clients sent. */
interface Played {
  /** Lines that were refused, with the code of each. */
  readonly refused: readonly [ChatLine, string][];
  readonly steps: readonly ObservedSpam[];
  readonly acts: readonly Extract<ControlMessage, { by?: string }>[];
}

/** Sends the lines of a corpus at their times, each over the connection of its session. */
async function play(lines: readonly ChatLine[]): Promise<Played> {
  const steps: ObservedSpam[] = [];
  const acts: Extract<ControlMessage, { by?: string }>[] = [];
  harness = await EngineHarness.start([channel('rooms.:room')], {
    // The clients of this test answer no pings.
    settings: { heartbeat: { intervalMs: 10 * HOUR, timeoutMs: 10 * HOUR } },
    spam: { ...POLICY, detector: repeatsAndBursts() },
    observers: [
      {
        onSpam: (spam) => void steps.push(spam),
        onAct: (act) => void acts.push(act as Extract<ControlMessage, { by?: string }>),
      },
    ],
  });
  const clients = new Map<string, FakeConnection>();
  const refused: [ChatLine, string][] = [];
  let now = 0;
  for (const [index, line] of lines.entries()) {
    if (line.at > now) harness.clock.advance(line.at - now);
    now = Math.max(now, line.at);
    const name = `${line.user} ${line.session}`;
    const client = clients.get(name) ?? (await harness.greet(`user:${line.user}`));
    clients.set(name, client);
    client.take();
    client.send({
      type: 'publish',
      id: `p${index}`,
      channel: line.channel,
      event: 'said',
      payload: { text: line.text },
    });
    let answer = answerOf(client, `p${index}`);
    // A node that has run for long leaves its turn to others first.
    for (let turn = 0; turn < 20 && answer === undefined && client.closed === undefined; turn++) {
      await settle();
      answer = answerOf(client, `p${index}`);
    }
    if (answer?.type === 'reply') continue;
    refused.push([
      line,
      answer === undefined
        ? `closed ${client.closed?.code} ${client.closed?.reason}`
        : (answer.payload as { code: string }).code,
    ]);
  }
  await quiet();
  return { refused, steps, acts };
}

function answerOf(client: FakeConnection, id: string): Envelope | undefined {
  return client.take().find(({ ref }) => ref === id);
}

describe('spam in chats that were written for it (G31)', () => {
  it('no line of an ordinary chat is refused', async () => {
    const { refused, steps } = await play(ordinaryChat());
    expect(refused).toEqual([]);
    expect(steps).toEqual([]);
  });

  it.each(floods().map(({ name, publishes }) => [name, publishes] as const))(
    'the flood is ended, and its user with it: %s',
    async (name, publishes) => {
      const { refused, steps, acts } = await play(publishes);
      const taken = steps.flatMap(({ step }) => (step === undefined ? [] : [step]));
      expect(taken).toEqual(LADDER.slice(0, LADDER.indexOf(REACHED[name] ?? 'mute') + 1));
      // Each step but the warning is one act, of the user, everywhere, and by nobody but the protection against spam.
      expect(acts.map((act) => act.kind === 'restrict' && [act.act, act.whom, act.channel, act.by])).toEqual(
        taken.slice(1).map((step) => [step, { of: 'user', id: 's' }, undefined, 'spam']),
      );
      const passed = publishes.length - refused.length;
      expect(passed).toBeLessThanOrEqual(PASSED[name] ?? 5);
      // What was refused is not in the log, and what was not refused is.
      const channels = [...new Set(publishes.map(({ channel: at }) => at))];
      const kept = await Promise.all(
        channels.map((at) => harness.engine.application.history(at, { limit: 1_000 })),
      );
      expect(kept.reduce((sum, { events }) => sum + events.length, 0)).toBe(passed);
    },
  );
});
