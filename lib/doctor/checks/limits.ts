import type { RealtimeConfig } from '../../nest/options/resolve-options.js';
import { MODULE_TABLE } from '../../nest/options/option-table.js';
import { check, type Check, type Verdict } from '../check.js';
import { time } from '../words.js';

/** How many times the default a limit may be before it is asked about. */
const FAR_ABOVE = 10;

interface Limit {
  readonly path: string;
  readonly value: number;
  readonly usual: number;
}

/** The numbers of a group of options, beside their defaults. Durations are left out: what is long is not more. */
function numbersOf(group: 'limits' | 'abuse', { settings }: RealtimeConfig): readonly Limit[] {
  const values = settings[group] as unknown as Readonly<Record<string, unknown>>;
  return Object.entries(MODULE_TABLE[group]).flatMap(([name, { kind, default: usual }]) => {
    const value = values[name];
    return kind === 'integer' && typeof value === 'number' && typeof usual === 'number'
      ? [{ path: `${group}.${name}`, value, usual }]
      : [];
  });
}

const limits = check({
  id: 'limits.clients',
  title: 'Limits',
  asks: 'What may one client, one address and one user take?',
  see: 'limits.md#the-module',
  outcomes: {
    bounded: {
      level: 'ok',
      finding: '{rate} commands a second, {connections} connections of a user, {address} of an address{own}.',
    },
    off: {
      level: 'warning',
      finding: '{path} is 0: there is no bound.',
      remedy: 'Leave it out, for {usual}, or set what your clients need.',
    },
    high: {
      level: 'advice',
      finding: '{path} is {value}, more than ten times the default of {usual}.',
      remedy: 'Lower it to what your clients need; single users can have more by limits.forUser.',
    },
  },
  judge: ({ config }) => {
    const found = numbersOf('limits', config).flatMap(({ path, value, usual }): Verdict<'off' | 'high'>[] => {
      if (value > 0 && value <= usual * FAR_ABOVE) return [];
      return [{ outcome: value === 0 ? 'off' : 'high', subject: path, values: { path, value, usual } }];
    });
    if (found.length > 0) return found;
    const { ratePerSecond, maxConnectionsPerUser, maxConnectionsPerAddress } = config.settings.limits;
    const values = {
      rate: ratePerSecond,
      connections: maxConnectionsPerUser,
      address: maxConnectionsPerAddress,
      own: config.limitsForUser === undefined ? '' : ', and what limits.forUser says',
    };
    return [{ outcome: 'bounded', values }];
  },
});

const abuse = check({
  id: 'limits.abuse',
  title: 'Abuse',
  asks: 'What happens to clients that exceed the limits again and again?',
  see: 'limits.md#abuse',
  outcomes: {
    banned: { level: 'ok', finding: 'Cut after {closeAfter} violations in {window}, and refused for {ban}.' },
    lenient: {
      level: 'warning',
      finding:
        '{path} is {value}, more than ten times the default of {usual}: floods and guesses are endured for long.',
      remedy: 'Leave it out, for {usual}.',
    },
    back: {
      level: 'warning',
      finding: 'abuse.ban is 0: a client that was cut for flooding comes back at once.',
      remedy: "Leave it out, for '1m'.",
    },
    hammered: {
      level: 'advice',
      finding:
        'circuits.clientFailures is 0: a client whose commands make a handler fail may call it without end.',
      remedy: 'Leave it out, for 10.',
    },
  },
  judge: ({ config }) => {
    const { abuse: settings, circuits } = config.settings;
    const found: Verdict<'lenient' | 'back' | 'hammered'>[] = numbersOf('abuse', config)
      .filter(({ value, usual }) => value > usual * FAR_ABOVE)
      .map(({ path, value, usual }) => ({
        outcome: 'lenient',
        subject: path,
        values: { path, value, usual },
      }));
    if (settings.banMs === 0) found.push({ outcome: 'back' });
    if (circuits.clientFailures === 0) found.push({ outcome: 'hammered' });
    if (found.length > 0) return found;
    const { closeAfter, windowMs, banMs } = settings;
    return [{ outcome: 'banned', values: { closeAfter, window: time(windowMs), ban: time(banMs) } }];
  },
});

const moderation = check({
  id: 'limits.spam',
  title: 'Moderation',
  asks: 'Is what clients publish judged before it is published?',
  see: 'moderation.md#spam',
  outcomes: {
    judged: { level: 'ok', finding: 'A detector judges publishes, with {steps} steps against spam.' },
    silent: { level: 'ok', finding: 'Clients publish nothing.' },
    unjudged: {
      level: 'advice',
      finding:
        'Clients publish, and no detector of spam is set: repeats and bursts within the limits reach everybody.',
      remedy: 'Set moderation: { spam: { detector: repeatsAndBursts() } } where people write to people.',
    },
  },
  judge: ({ channels, config: { spam } }) => {
    if (spam !== undefined) return [{ outcome: 'judged', values: { steps: spam.steps.length } }];
    const writes = channels.some(({ definition }) => definition.behaviour.publish.size > 0);
    return [{ outcome: writes ? 'unjudged' : 'silent' }];
  },
});

export const LIMITS: readonly Check[] = [limits, abuse, moderation];
