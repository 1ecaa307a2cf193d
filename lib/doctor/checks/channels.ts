import type { ChannelDefinition } from '../../core/ports/channel-definition.js';
import { namedChannels } from '../../nest/options/named-channels.js';
import { check, type Check, type Verdict } from '../check.js';
import type { ChannelFacts, Facts } from '../facts.js';
import { list, size, time } from '../words.js';

/** What is said of each channel that a judge has something to say of. */
function each<Name extends string>(
  facts: Facts,
  judge: (channel: ChannelFacts) => readonly Verdict<Name>[],
): readonly Verdict<Name>[] {
  return facts.channels.flatMap((channel) =>
    judge(channel).map((verdict) => ({ subject: channel.definition.pattern, ...verdict })),
  );
}

const read = check({
  id: 'channels.read',
  title: 'Who reads',
  asks: 'Who may subscribe to each channel, and read its history and members?',
  see: 'guide.md#decide-who-may-do-what',
  outcomes: {
    asked: { level: 'ok', finding: 'The authorization of {source} is asked at each subscribe.' },
    blind: {
      level: 'warning',
      finding:
        'The authorization "subscribe" of {source} takes no parameter: it answers the same for everybody, without knowing who asks.',
      remedy:
        'Look at the user and the channel, @RealtimeUser() and @ChannelParam(), or write @PublicChannel() if all may read.',
    },
    members: {
      level: 'advice',
      finding:
        '{source} is a @PublicChannel(): everybody who may connect reads it, its history and its members.',
      remedy: "Add @Authorize('subscribe') instead, if not everybody should; or accept this.",
    },
    world: {
      level: 'warning',
      finding:
        '{source} is a @PublicChannel(), and clients connect without credentials: everybody on the network reads it.',
      remedy: "Add @Authorize('subscribe') instead, or leave auth.anonymous out; or accept this.",
    },
  },
  judge: (facts) =>
    each(facts, ({ definition: { source }, isPublic, blind }) => {
      const values = { source };
      if (isPublic) return [{ outcome: facts.config.settings.anonymous ? 'world' : 'members', values }];
      return [{ outcome: blind.includes('subscribe') ? 'blind' : 'asked', values }];
    }),
});

const publish = check({
  id: 'channels.publish',
  title: 'Who writes',
  asks: 'Who may publish and signal to each channel?',
  see: 'guide.md#take-publishes-requests-and-signals-from-clients',
  outcomes: {
    nobody: { level: 'ok', finding: 'Clients publish nothing.' },
    asked: { level: 'ok', finding: 'The authorization is asked for each {events}.' },
    blind: {
      level: 'warning',
      finding: 'The authorization of {events} takes no parameter: everybody who may connect may send them.',
      remedy: 'Look at the user and the channel: @RealtimeUser() and @ChannelParam().',
    },
    world: {
      level: 'error',
      finding:
        'The authorization of {events} takes no parameter, and clients connect without credentials: everybody on the network may send them.',
      remedy:
        'Look at the user and the channel, @RealtimeUser() and @ChannelParam(), or leave auth.anonymous out.',
    },
  },
  judge: (facts) =>
    each(facts, ({ definition: { behaviour }, blind }) => {
      const kinds = [
        ['publish', [...behaviour.publish.keys()]],
        ['signal', [...behaviour.signals]],
      ] as const;
      const sent = kinds.filter(([, names]) => names.length > 0);
      const open = sent.filter(([kind]) => blind.includes(kind));
      const values = { events: list((open.length > 0 ? open : sent).flatMap(([, names]) => names)) };
      if (sent.length === 0) return [{ outcome: 'nobody' }];
      if (open.length === 0) return [{ outcome: 'asked', values }];
      return [{ outcome: facts.config.settings.anonymous ? 'world' : 'blind', values }];
    }),
});

const requests = check({
  id: 'channels.requests',
  title: 'Who asks',
  asks: 'Who may call the requests?',
  see: 'guide.md#take-publishes-requests-and-signals-from-clients',
  outcomes: {
    asked: { level: 'ok', finding: 'For {events} an authorization or a subscription is needed.' },
    none: { level: 'ok', finding: 'There are no requests.' },
    public: {
      level: 'advice',
      finding: 'The channel is public, so everybody who may connect may call {events}.',
      remedy: "Add @Authorize('request'), or check the user in each handler, and accept this.",
    },
    world: {
      level: 'warning',
      finding: 'Everybody on the network may call {events}: no credentials are needed for it.',
      remedy: "Add @Authorize('request'), or { authorize: 'authenticated' } to a request without a channel.",
    },
  },
  judge: (facts) => {
    const { channels, openRequests, config } = facts;
    const reach = config.settings.anonymous ? 'world' : 'public';
    const open: Verdict<'public' | 'world'>[] = channels
      .filter(({ isPublic, blind, definition: { behaviour } }) => {
        const isOpen = behaviour.authorize.request === undefined ? isPublic : blind.includes('request');
        return isOpen && behaviour.requests.size > 0;
      })
      .map(({ definition: { pattern, behaviour } }) => ({
        outcome: reach,
        subject: pattern,
        values: { events: list([...behaviour.requests.keys()]) },
      }));
    if (openRequests.length > 0) open.push({ outcome: reach, values: { events: list(openRequests) } });
    if (open.length > 0) return open;
    const all = channels.flatMap(({ definition }) => [...definition.behaviour.requests.keys()]);
    return all.length === 0 ? [{ outcome: 'none' }] : [{ outcome: 'asked', values: { events: list(all) } }];
  },
});

/** Where the remedy is a snapshot. */
export const SNAPSHOT_POINTER = 'guide.md#give-newcomers-the-state';

type Weak = 'drops' | 'fresh' | 'forgets' | 'repeats' | 'short';

const delivery = check({
  id: 'channels.delivery',
  title: 'Delivery',
  asks: 'What does each channel promise of order, retention, reconnects and latency?',
  see: 'guide.md#keep-history-for-those-who-come-back',
  outcomes: {
    kept: { level: 'ok', finding: 'In order, each once. {keeps} {survives} {latency}' },
    forgets: {
      level: 'warning',
      finding:
        'Keeps no events and has no snapshot: a client that was cut for a second learns that it missed something, and not what.',
      remedy: 'Leave history on, or add a @Snapshot().',
    },
    short: {
      level: 'warning',
      finding:
        'Events are kept for {ttl}, and a client may take {away} to come back (twice retry.max, and drain.deadline).',
      remedy: 'Raise history.ttl above {away}.',
    },
    fresh: {
      level: 'advice',
      finding:
        'There is no @Snapshot(): who comes new, or was away for longer than {ttl}, has only the events that are kept.',
      remedy: 'Add a @Snapshot() where clients show a state, not only what happens.',
    },
    repeats: {
      level: 'warning',
      finding: 'dedupe is off: a publish that a client repeats after a cut is appended twice.',
      remedy: 'Leave dedupe out.',
    },
    drops: {
      level: 'warning',
      finding:
        "overflow '{overflow}' without a @Snapshot(): a slow client misses events, learns how many, and has no way to the state.",
      remedy: "Add a @Snapshot(), or take overflow: 'disconnect', after which clients resume.",
    },
  },
  judge: (facts) =>
    each<Weak | 'kept'>(facts, ({ definition }) => {
      const weak = weakOf(definition, facts);
      return weak.length > 0 ? weak : [{ outcome: 'kept', values: promisesOf(definition, facts) }];
    }),
});

function weakOf({ policy, behaviour }: ChannelDefinition, { config }: Facts): readonly Verdict<Weak>[] {
  const { retain, ttlMs, dedupeMs } = policy.log;
  const { overflow } = policy;
  const hasSnapshot = behaviour.snapshot !== undefined;
  const awayMs = 2 * config.settings.retry.maxMs + config.drainDeadlineMs;
  const values = { ttl: time(ttlMs), away: time(awayMs), overflow };
  const see = SNAPSHOT_POINTER;
  const found: Verdict<Weak>[] = [];
  if (!retain && !hasSnapshot) found.push({ outcome: 'forgets', see });
  if (retain && ttlMs <= awayMs) found.push({ outcome: 'short', values });
  if (dedupeMs === 0 && behaviour.publish.size > 0) found.push({ outcome: 'repeats' });
  if (overflow !== 'disconnect' && !hasSnapshot) found.push({ outcome: 'drops', see, values });
  if (retain && !hasSnapshot && found.length === 0) found.push({ outcome: 'fresh', see, values });
  return found;
}

/** What is promised, as sentences (G1, G2, G3). */
function promisesOf({ policy, behaviour }: ChannelDefinition, { broker, config }: Facts) {
  const { retain, size: events, maxBytes, ttlMs } = policy.log;
  const state = behaviour.snapshot === undefined ? '' : ', and a snapshot beyond';
  const keeps = retain
    ? `Who was away gets up to ${Math.min(events, policy.replayLimit)} events (${size(maxBytes)}) of the last ${time(ttlMs)}${state}.`
    : 'Nothing is kept: who was away gets a snapshot.';
  const { durability } = policy;
  const survives = {
    process: 'Acknowledged is what this process has: it ends with it.',
    broker: `Acknowledged is what ${broker.name} has: it survives every node.`,
    replicated: `Acknowledged is what ${broker.name} and its replicas have: it survives the loss of one.`,
  }[durability];
  const flush = time(2 * config.settings.maxFlushDelayMs);
  const latency =
    broker.capabilities.durability === 'process'
      ? `Delivered at once, under load within ${flush}.`
      : `Delivered after a round trip to ${broker.name}, under load within ${flush} more.`;
  return { keeps, survives, latency };
}

const named = check({
  id: 'channels.named',
  title: 'Channels in options',
  asks: 'Do the channels exist that options name?',
  see: 'guide.md#declare-a-channel',
  outcomes: {
    none: { level: 'ok', finding: 'No option names a channel.' },
    exist: { level: 'ok', finding: 'Each of {names} has a class with @Channel().' },
    unmatched: {
      level: 'warning',
      finding: '{path} is {name}, and no class with @Channel() has such a name: it does nothing.',
      remedy: 'Write {path} as the pattern of a channel, or leave it out.',
    },
  },
  judge: ({ config, channels }) => {
    const all = namedChannels(
      config,
      channels.map(({ definition }) => definition),
    );
    const found = all.flatMap(({ path, text, exists }): Verdict<'unmatched'>[] =>
      exists ? [] : [{ outcome: 'unmatched', subject: path, values: { path, name: JSON.stringify(text) } }],
    );
    if (found.length > 0) return found;
    const names = [...new Set(all.map(({ text }) => text))];
    return [names.length === 0 ? { outcome: 'none' } : { outcome: 'exist', values: { names: list(names) } }];
  },
});

export const CHANNELS: readonly Check[] = [read, publish, requests, delivery, named];
