import type {
  AppendRequest,
  Broker,
  BrokerListener,
  BrokerLog,
  BrokerPresence,
  BrokerTransitions,
  Hold,
  LogPolicy,
  PresenceEntry,
  ReadResult,
} from '../../../../lib/brokers/broker.js';
import { alteredBroker, alteredListener } from '../../../support/engine/altered-broker.js';
import { settle } from '../../../support/engine/manual-clock.js';

/** A broker that breaks one promise. */
export interface FaultyBroker {
  /** Part of the title of a test that must fail. */
  readonly fails: string;
  readonly wrap: (inner: Broker) => Broker;
  /** Whether the broker counts times by the wall clock. */
  readonly wallClock?: boolean;
}

/** What a node sent last, as it is: the broker of the other node is another one. */
let lastSent: Uint8Array | undefined;

/** Brokers that each break one promise, under the theme of the contract to which the test that must fail belongs. */
export const FAULTY_BROKERS: Readonly<Record<string, Readonly<Record<string, FaultyBroker>>>> = {
  append: {
    'repeats a seq': failing('numbers the events of an empty log 1, 2, 3', (inner) =>
      withLog(inner, {
        async appendMany(requests) {
          const outcomes = await inner.log.appendMany(requests);
          return outcomes.map((outcome) => {
            if (!outcome.ok) return outcome;
            const { epoch, seq } = outcome.position;
            return { ...outcome, position: { epoch, seq: seq === 2 ? 1 : seq } };
          });
        },
      }),
    ),
    'acknowledges before events can be read': failing(
      'makes an acknowledged event readable on every node',
      acknowledgesEarly,
    ),
    'appends a batch in reverse': failing('appends the items of a batch in order', (inner) =>
      withLog(inner, {
        appendMany: async (requests) => [...(await inner.log.appendMany([...requests].reverse()))].reverse(),
      }),
    ),
    'loses the payload `false`': failing('stores a payload that is false', (inner) =>
      appending(inner, (request) => {
        const { payload, ...event } = request.event;
        return payload === false ? { ...request, event } : request;
      }),
    ),
  },
  dedupe: {
    'forgets ids': failing('returns the first result for a repeated id', (inner) =>
      withPolicy(inner, (policy) => ({ ...policy, dedupeMs: 0 })),
    ),
    'never forgets an id': failing('forgets an id after its dedupe window', (inner) =>
      withPolicy(inner, (policy) => ({ ...policy, dedupeMs: policy.dedupeMs * 1_000 })),
    ),
    'treats the ids of all producers as one': failing(
      'treats the same id of another producer, or in another channel, as another publish',
      (inner) => appending(inner, (request) => ({ ...request, producer: 'anybody' })),
    ),
    'reports no conflict': failing('reports a conflict for the same id with another payload', (inner) =>
      appending(inner, (request) => ({ ...request, fingerprint: '' })),
    ),
  },
  after: {
    'ignores `after`': failing('fails a publish whose `after` is not in the log', (inner) =>
      appending(inner, ({ after: _after, ...request }) => request),
    ),
  },
  'read and positions': {
    'makes another epoch for each read of an unwritten log': failing(
      'answers the same for a log that was never written',
      (inner) => {
        let count = 0;
        return reading(inner, (result) =>
          result.tip.seq === 0 ? { ...result, tip: { epoch: `fresh${(count += 1)}`, seq: 0 } } : result,
        );
      },
    ),
    'loses an event': failing('never returns more than `limit` events; pages join without gap', (inner) =>
      reading(inner, (result) => ({ ...result, events: result.events.filter(({ seq }) => seq !== 2) })),
    ),
    'ignores `limit`': failing('never returns more than `limit` events', (inner) =>
      withLog(inner, { read: (request) => inner.log.read({ ...request, limit: 1_000_000 }) }),
    ),
    'ignores `from`': failing('treats `from` and `until` as inclusive', (inner) =>
      withLog(inner, { read: (request) => inner.log.read({ ...request, from: 1 }) }),
    ),
    'ignores `reverse`': failing('reads down from `until` with `reverse`', (inner) =>
      withLog(inner, { read: (request) => inner.log.read({ ...request, reverse: false }) }),
    ),
    'excludes `until`': failing('treats `from` and `until` as inclusive', (inner) =>
      withLog(inner, {
        read: ({ until, ...request }) =>
          inner.log.read(until === undefined ? request : { ...request, until: until - 1 }),
      }),
    ),
    'calls every position continuous': failing(
      'reports a position beyond the tip as not continuous',
      (inner) => reading(inner, (result) => ({ ...result, continuous: true })),
    ),
    'never trims by age': failing('reports history that was trimmed by age as continuous', (inner) =>
      withPolicy(inner, (policy) => ({ ...policy, ttlMs: 3_600_000 })),
    ),
    'always reports 1 as the oldest seq': failing(
      'reports history that was trimmed by size as continuous',
      (inner) => reading(inner, (result) => ({ ...result, oldest: 1 })),
    ),
  },
  bounds: {
    'keeps more bytes than it should': failing('keeps the newest events that fit in `maxBytes`', (inner) =>
      withPolicy(inner, (policy) => ({ ...policy, maxBytes: policy.maxBytes * 2 })),
    ),
    'keeps an event that is too large': failing('numbers and pushes an event larger than', (inner) =>
      withPolicy(inner, (policy) => ({ ...policy, maxBytes: 1_000_000 })),
    ),
    'never applies another `maxBytes`': failing(
      'applies a smaller `maxBytes` from the next append',
      (inner) => {
        const bounds = new Map<string, number>();
        return appending(inner, (request) => {
          const maxBytes = bounds.get(request.channel) ?? request.policy.maxBytes;
          bounds.set(request.channel, maxBytes);
          return { ...request, policy: { ...request.policy, maxBytes } };
        });
      },
    ),
    'lets one producer spend what all have': failing('refuses a producer with `rate_limited`', (inner) =>
      appending(inner, (request) => ({ ...request, producer: `a:${request.producer}` })),
    ),
  },
  'fan-out': {
    'loses an event': failing('pushes every event in log order to every subscribed node', (inner) =>
      listening(inner, (listener) => ({
        onEvents: (channel, events) =>
          listener.onEvents(
            channel,
            events.filter(({ seq }) => seq !== 2),
          ),
      })),
    ),
    'pushes events twice': failing('pushes every event in log order to every subscribed node', (inner) =>
      listening(inner, (listener) => ({
        onEvents(channel, events) {
          listener.onEvents(channel, events);
          listener.onEvents(channel, events);
        },
      })),
    ),
    'pushes a batch in reverse': failing('keeps the order of each channel within one batch', (inner) =>
      listening(inner, (listener) => ({
        onEvents: (channel, events) => listener.onEvents(channel, [...events].reverse()),
      })),
    ),
    'never ends a subscription': failing('pushes nothing after `unsubscribe`', (inner) =>
      withLog(inner, { unsubscribe: async () => undefined }),
    ),
    'pushes signals after `unsubscribe`': failing('pushes nothing after `unsubscribe`', (inner) => {
      const left = new Set<string>();
      const broker = listening(inner, (listener) => ({
        onEvents(channel, events) {
          if (!left.has(channel)) listener.onEvents(channel, events);
        },
        onPresence(channel, diff) {
          if (!left.has(channel)) listener.onPresence(channel, diff);
        },
      }));
      return withLog(broker, {
        async subscribe(channel) {
          left.delete(channel);
          return broker.log.subscribe(channel);
        },
        async unsubscribe(channel) {
          left.add(channel);
        },
      });
    }),
  },
  interleavings: {
    'reads the tip before it subscribes': failing(
      'continues a replay up to the tip of `subscribe` with the pushed events',
      (inner) =>
        withLog(inner, {
          async subscribe(channel) {
            const [tip] = await inner.log.tips([channel]);
            await settle();
            return { ...(await inner.log.subscribe(channel)), ...tip };
          },
        }),
    ),
  },
  signals: {
    'logs signals': failing('keeps signals out of the log', (inner) =>
      withLog(inner, {
        async signal(channel, { event, payload }) {
          await inner.log.appendMany([
            {
              channel,
              producer: 'signal',
              fingerprint: '',
              event: { id: crypto.randomUUID(), event, payload },
              bytes: 50,
              policy: { retain: true, size: 100, maxBytes: 8_388_608, ttlMs: 60_000, dedupeMs: 0 },
            },
          ]);
        },
      }),
    ),
    'loses the user': failing('delivers a signal unchanged to every subscribed node', (inner) =>
      withLog(inner, {
        signal: (channel, { user: _user, ...message }) => inner.log.signal(channel, message),
      }),
    ),
  },
  'presence: membership': {
    'ignores generations': failing('does not let an older generation change or end', (inner) =>
      entering(inner, (entry) => ({ ...entry, generation: 1 })),
    ),
    'ignores devices': failing('treats several devices of a user as one member', (inner) =>
      entering(inner, (entry) => ({ ...entry, device: 'd' })),
    ),
    'grants no grace period': failing('publishes neither leave nor join when a device returns', (inner) =>
      presenting(inner, { leave: (entry) => inner.presence.leave(entry, 0) }),
    ),
    'does not renew': failing('keeps members beyond their first lease', (inner) =>
      presenting(inner, { renew: async () => undefined }),
    ),
    'loses data': failing('replaces the data of a member on `update`', (inner) =>
      entering(inner, ({ data: _data, ...entry }) => entry),
    ),
  },
  'presence: rosters and versions': {
    'loses every third diff': failing('links each diff to the version before it', (inner) =>
      listening(inner, (listener) => {
        let count = 0;
        return {
          onPresence(channel, diff) {
            count += 1;
            if (count % 3 !== 0) listener.onPresence(channel, diff);
          },
        };
      }),
    ),
    'pushes a diff twice': failing('links each diff to the version before it', (inner) =>
      listening(inner, (listener) => ({
        onPresence(channel, diff) {
          listener.onPresence(channel, diff);
          listener.onPresence(channel, diff);
        },
      })),
    ),
    'always returns the first page': failing('returns every member once across pages', (inner) =>
      presenting(inner, { members: (channel, { limit }) => inner.presence.members(channel, { limit }) }),
    ),
    miscounts: failing('puts only the changes into a diff, with the number of members after it', (inner) =>
      listening(inner, (listener) => ({
        onPresence: (channel, diff) =>
          listener.onPresence(channel, { ...diff, count: (diff.count ?? 0) + 1 }),
      })),
    ),
  },
  control: {
    'confirms for nodes that did not confirm': failing(
      'reports a node as missing when it does not confirm in time',
      (inner) =>
        alteredBroker(inner, {
          bus: {
            async control(message) {
              const { confirmed, missing } = await inner.bus.control(message);
              return { confirmed: [...confirmed, ...missing], missing: [] };
            },
          },
        }),
    ),
    'keeps bans from nodes that start later': failing(
      'hands the active bans, and nothing else, to a node that starts later',
      (inner) => {
        let started = false;
        const broker = listening(inner, (listener) => ({
          onControl: (message) => (started ? listener.onControl(message) : undefined),
        }));
        return alteredBroker(broker, {
          async start(listener, nodeId) {
            await broker.start(listener, nodeId);
            started = true;
          },
        });
      },
    ),
    'hands bans for abuse to later nodes with the time that they had': failing(
      'hands the bans for abuse that hold to a node that starts later',
      (inner) =>
        listening(inner, (listener) => ({
          onControl: (message) =>
            listener.onControl(
              message.kind === 'abuse' ? { ...message, forMs: message.forMs + 1_000 } : message,
            ),
        })),
    ),
    'applies a record twice': failing('delivers a control record unchanged to every node', (inner) =>
      listening(inner, (listener) => ({
        async onControl(message) {
          await listener.onControl(message);
          await listener.onControl(message);
        },
      })),
    ),
  },
  'messages between nodes': {
    'carries text instead of bytes': failing('carries bytes of every value', (inner) =>
      sending(inner, (node, topic, bytes) =>
        inner.bus.send?.(node, topic, Buffer.from(Buffer.from(bytes).toString())),
      ),
    ),
    'sends to nobody': failing('hands bytes to the listener of the node', (inner) =>
      sending(inner, async () => undefined),
    ),
    'sends to itself as well': failing('hands bytes to the listener of the node', (inner) => {
      let own = '';
      return alteredBroker(
        sending(inner, async (node, topic, bytes) => {
          await inner.bus.send?.(node, topic, bytes);
          if (node !== own) await inner.bus.send?.(own, topic, bytes);
        }),
        {
          async start(listener, nodeId) {
            own = nodeId ?? '';
            await inner.start(listener, nodeId);
          },
        },
      );
    }),
    'lets a later message overtake': failing('in the order of the calls', (inner) => {
      let count = 0;
      return sending(inner, async (node, topic, bytes) => {
        count += 1;
        if (count % 3 === 0) await settle();
        await inner.bus.send?.(node, topic, bytes);
      });
    }),
    'takes a message of any size': failing('refuses one of a byte more', (inner) =>
      sending(inner, (node, topic, bytes) =>
        inner.bus.send?.(node, topic, bytes.subarray(0, 8 * 1024 * 1024)),
      ),
    ),
    'keeps the buffer of the sender': failing('apart from the buffer of the sender', (inner) =>
      listening(
        sending(inner, async (node, topic, bytes) => {
          lastSent = bytes;
          await inner.bus.send?.(node, topic, bytes);
        }),
        (listener) => ({
          onMessage: (from, topic, bytes) => listener.onMessage?.(from, topic, lastSent ?? bytes),
        }),
      ),
    ),
    'rejects for a node that is gone': failing('sent to a node that is not there', (inner) =>
      sending(inner, async (node, topic, bytes) => {
        const live = (await inner.bus.nodes?.()) ?? [];
        if (!live.includes(node)) throw new Error('It is gone');
        await inner.bus.send?.(node, topic, bytes);
      }),
    ),
    'does not name itself': failing('names the nodes that live', (inner) =>
      alteredBroker(inner, { bus: { nodes: async () => ((await inner.bus.nodes?.()) ?? []).slice(1) } }),
    ),
  },
  transitions: {
    'ends a channel with its first holder': failing('the end of its last one', (inner) =>
      holding(inner, (hold) => ({ ...hold, holder: 'one' })),
    ),
    'takes the members of a channel for one': failing('members of any name', (inner) =>
      holding(inner, ({ member, ...hold }) => (member === undefined ? hold : { ...hold, member: 'one' })),
    ),
    'never ends a lease': failing('ends a holder that is not renewed', (inner) =>
      transiting(inner, { hold: async (holds) => inner.transitions?.hold(holds, 1e9) }),
    ),
    'has no grace': failing('within its grace', (inner) =>
      transiting(inner, { release: async (hold) => inner.transitions?.release(hold, 0) }),
    ),
    'does not compare generations': failing('lets an older generation neither', (inner) =>
      holding(inner, (hold) => ({ ...hold, generation: 1 })),
    ),
    'hands over more than was asked for': failing('in pages', (inner) =>
      transiting(inner, { take: async () => (await inner.transitions?.take(1_000)) ?? [] }),
    ),
    'deletes what it hands over': failing('again to another where', (inner) =>
      transiting(inner, {
        async take(limit) {
          const taken = (await inner.transitions?.take(limit)) ?? [];
          await inner.transitions?.done(taken.map(({ id }) => id));
          return taken;
        },
      }),
    ),
    'never deletes': failing('again to another where', (inner) =>
      transiting(inner, { done: async () => undefined }),
    ),
    'loses every ninth release': failing('as many as its holders say', (inner) => {
      let count = 0;
      return transiting(inner, {
        async release(hold, graceMs) {
          count += 1;
          if (count % 9 !== 0) await inner.transitions?.release(hold, graceMs);
        },
      });
    }),
    'goes on after it was closed': failing('refuses everything after it was closed', (inner) =>
      transiting(inner, {
        take: async (limit) => (await inner.transitions?.take(limit).catch(() => [])) ?? [],
      }),
    ),
  },
  'life cycle': {
    'declares more than its harness states': failing(
      'declares the capabilities that its harness states',
      (inner) => alteredBroker(inner, { capabilities: { ...inner.capabilities, durability: 'replicated' } }),
    ),
    'answers after `close`': failing('rejects every call after `close`', (inner) =>
      withLog(inner, {
        tips: (channels) =>
          inner.log.tips(channels).catch(() => channels.map(() => ({ epoch: 'closed', seq: 0 }))),
      }),
    ),
    'does not report `up`': failing('reports `up` before `start` resolves', (inner) =>
      listening(inner, () => ({ onState: () => undefined })),
    ),
    'notifies a node after `close`': failing('notifies a closed node of nothing more', hearsOn),
  },
  faults: {
    'counts times by the wall clock': {
      ...failing('keeps members, ids and events for their time when the wall clock steps', (inner) => inner),
      wallClock: true,
    },
    'leaves out what it cannot read': failing('returns an event that it cannot read as unreadable', (inner) =>
      reading(inner, (result) => ({
        ...result,
        events: result.events.filter(({ isReadable }) => isReadable),
      })),
    ),
    'cannot read past what it cannot read': failing(
      'reads on behind unreadable events, one, several or the last',
      (inner) =>
        reading(inner, (result) => {
          if (result.events.length === 1 && result.events[0]?.isReadable === false)
            throw new SyntaxError('Not a record');
          return result;
        }),
    ),
    'gives what it cannot read no place of its own': failing('reads on behind unreadable events', (inner) =>
      reading(inner, (result) => ({
        ...result,
        events: result.events.filter(
          ({ isReadable }, index, all) => isReadable || all[index + 1]?.isReadable !== false,
        ),
      })),
    ),
    'ends the log at what it cannot read': failing('appends and pushes behind an unreadable event', (inner) =>
      reading(inner, (result) => {
        const end = result.events.findIndex(({ isReadable }) => !isReadable);
        return end < 0 ? result : { ...result, events: result.events.slice(0, end) };
      }),
    ),
    'keeps its epoch when the log was lost': failing('gives a log that was lost a new epoch', (inner) => {
      const epoch = 'forever';
      return withLog(inner, {
        tips: async (channels) => (await inner.log.tips(channels)).map(({ seq }) => ({ epoch, seq })),
        async read({ epoch: _epoch, ...request }) {
          const { tip, ...result } = await inner.log.read(request);
          return { ...result, tip: { epoch, seq: tip.seq } };
        },
      });
    }),
  },
};

function failing(fails: string, wrap: (inner: Broker) => Broker): FaultyBroker {
  return { fails, wrap };
}

function withLog(inner: Broker, log: Partial<BrokerLog>): Broker {
  return alteredBroker(inner, { log });
}

function appending(inner: Broker, change: (request: AppendRequest) => AppendRequest): Broker {
  return withLog(inner, { appendMany: (requests) => inner.log.appendMany(requests.map(change)) });
}

function withPolicy(inner: Broker, change: (policy: LogPolicy) => LogPolicy): Broker {
  return appending(inner, (request) => ({ ...request, policy: change(request.policy) }));
}

function reading(inner: Broker, change: (result: ReadResult) => ReadResult): Broker {
  return withLog(inner, { read: async (request) => change(await inner.log.read(request)) });
}

function listening(inner: Broker, change: (listener: BrokerListener) => Partial<BrokerListener>): Broker {
  return alteredBroker(inner, {
    start: (listener, nodeId) => inner.start(alteredListener(listener, change(listener)), nodeId),
  });
}

function sending(
  inner: Broker,
  send: (node: string, topic: string, bytes: Uint8Array) => Promise<void> | undefined,
): Broker {
  return alteredBroker(inner, { bus: { send: async (...message) => send(...message) } });
}

function presenting(inner: Broker, presence: Partial<BrokerPresence>): Broker {
  return alteredBroker(inner, { presence });
}

function entering(inner: Broker, change: (entry: PresenceEntry) => PresenceEntry): Broker {
  const { presence } = inner;
  return presenting(inner, {
    enter: (entry, leaseMs) => presence.enter(change(entry), leaseMs),
    update: (entry) => presence.update(change(entry)),
    leave: (entry, graceMs) => presence.leave(change(entry), graceMs),
    renew: (entries, leaseMs) => presence.renew(entries.map(change), leaseMs),
  });
}

/** What was appended in a turn of the event loop can be read only in the next. */
const hidden = new Set<string>();

function acknowledgesEarly(inner: Broker): Broker {
  return withLog(inner, {
    async appendMany(requests) {
      const outcomes = await inner.log.appendMany(requests);
      for (const { event } of requests) {
        hidden.add(event.id);
        void settle().then(() => hidden.delete(event.id));
      }
      return outcomes;
    },
    async read(request) {
      const result = await inner.log.read(request);
      return { ...result, events: result.events.filter(({ id }) => !hidden.has(id)) };
    },
  });
}

/** Listeners of brokers that were closed. */
const closed = new Set<BrokerListener>();

/** What one broker hears, those that were closed before hear too. */
function hearsOn(inner: Broker): Broker {
  let own: BrokerListener | undefined;
  const broker = listening(inner, (listener) => {
    own = listener;
    return {
      onSignal(channel, signal) {
        listener.onSignal(channel, signal);
        for (const other of closed) other.onSignal(channel, signal);
      },
    };
  });
  return alteredBroker(broker, {
    async close() {
      await inner.close();
      if (own !== undefined) closed.add(own);
    },
  });
}

function transiting(inner: Broker, change: Partial<BrokerTransitions>): Broker {
  const { transitions } = inner;
  if (transitions === undefined) return inner;
  const same: BrokerTransitions = {
    hold: (holds, leaseMs) => transitions.hold(holds, leaseMs),
    release: (hold, graceMs) => transitions.release(hold, graceMs),
    take: (limit) => transitions.take(limit),
    done: (ids) => transitions.done(ids),
  };
  return alteredBroker(inner, { transitions: { ...same, ...change } });
}

/** Every holder is another one than was meant. */
function holding(inner: Broker, change: (hold: Hold) => Hold): Broker {
  return transiting(inner, {
    hold: async (holds, leaseMs) => inner.transitions?.hold(holds.map(change), leaseMs),
    release: async (hold, graceMs) => inner.transitions?.release(change(hold), graceMs),
  });
}
