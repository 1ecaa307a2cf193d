import { flushing } from './flush.model.mjs';

/** Events of a channel that a node of a cluster keeps (`ringSize`); a single node keeps the whole history. */
const RING = 256;
/** Bytes of headers around a write of TCP over IPv4, with timestamps. */
const PACKET = 52;
/** Bytes that a packet carries at most. */
const SEGMENT = 1_448;
/** How long a poll waits on average where nothing comes, as a share of the interval: up to a fifth less by chance (P21e). */
const POLL_WAIT = 0.9;

/**
 * What one of `nodes` nodes has to do, when everything is spread evenly.
 *
 * @param plan as of `planOf`.
 * @param costs as of `costs.mjs`.
 * @param {number} nodes
 * @returns {{ cpu: number, needed: number, parts: object, memory: number, connections: number, deliveries: number,
 * writes: number, bits: number, period: number }} `cpu` is the share of a core that will be seen, `needed` the share
 * that the node cannot do without, `period` how long events wait for others at most, in seconds.
 */
export function nodeLoad(plan, { transport, micros, bytes }, nodes) {
  const connections = plan.connections / nodes;
  const subscribed = Math.min(plan.connections, plan.subscribers * plan.channels) / nodes;
  // An event comes to every node on which its channel has a subscriber.
  const served = 1 - (1 - 1 / nodes) ** plan.subscribers;
  const events = plan.rate * served;
  const deliveries = (plan.rate * plan.subscribers) / nodes;
  const eventsPerConnection = deliveries / subscribed;
  const wireBytes = plan.bytes + (plan.source === 'clients' ? bytes.clientEnvelope : bytes.envelope);
  const cost = {
    connects: (connections / plan.lifetime) * micros.connection,
    publishes: (plan.rate / nodes) * micros[plan.source === 'clients' ? 'clientPublish' : 'publish'],
    requests: (plan.requests / nodes) * micros.request,
    received: nodes > 1 ? events * micros.receive : 0,
  };
  const flush = flushing(
    {
      channels: plan.channels * served,
      connections: subscribed,
      eventsPerChannel: plan.rate / plan.channels,
      eventsPerConnection,
      flush: micros.flush,
      write: micros.write,
      perSecond: events * micros.event + deliveries * micros.delivery * (wireBytes / bytes.delivery),
    },
    plan.flushDelay,
  );
  const writesPerConnection =
    flush.period === 0
      ? eventsPerConnection
      : -Math.expm1(-eventsPerConnection * flush.period) / flush.period;
  const beats = (writes) => beatsPerSecond(transport, plan.heartbeat, writes);
  const asked = subscribed * beats(writesPerConnection) + (connections - subscribed) * beats(0);
  const all = { heartbeats: asked * micros.heartbeat, ...cost };
  const parts = Object.fromEntries(Object.entries(all).map(([name, perSecond]) => [name, perSecond / 1e6]));
  const others = Object.values(parts).reduce((sum, part) => sum + part, 0);
  const writes = subscribed * writesPerConnection;
  const wire = deliveries * wireBytes + writes * bytes.write;
  const packets = Math.max(writes, wire / SEGMENT);
  return {
    cpu: others + flush.expected,
    needed: others + flush.needed,
    parts: { ...parts, fanOut: flush.expected },
    memory: memoryOf(plan, bytes, nodes, served),
    connections,
    deliveries,
    writes,
    bits: 8 * (wire + packets * PACKET),
    period: flush.period,
  };
}

/** How often a second a client is asked whether it lives. A poll that is answered with events asks nothing. */
function beatsPerSecond(transport, heartbeat, writes) {
  if (transport !== 'polling') return 1 / heartbeat;
  const longest = POLL_WAIT * heartbeat;
  // Polls that wait the whole time, where writes come at random: all of them without writes.
  return writes === 0 ? 1 / longest : writes / Math.expm1(writes * longest);
}

function memoryOf(plan, bytes, nodes, served) {
  const connections = plan.connections / nodes;
  const subscriptions = (plan.subscribers * plan.channels) / nodes;
  const kept = plan.rate === 0 ? 0 : nodes > 1 ? Math.min(RING, plan.history) : plan.history;
  // Payload and encoded event both grow with it.
  const keptEvent = Math.max(0, bytes.keptEvent + 2 * (plan.bytes - bytes.payload));
  return (
    bytes.base +
    bytes.working +
    connections * bytes.connection +
    Math.max(0, subscriptions - connections) * bytes.subscription +
    plan.channels * served * (bytes.channel + kept * keptEvent)
  );
}
