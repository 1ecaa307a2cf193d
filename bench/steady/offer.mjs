import { startMeasuring } from '../support/load.mjs';
import { cpuOf } from '../support/process-cpu.mjs';
import { startServer } from '../support/server-process.mjs';
import { percentile } from '../support/statistics.mjs';
import { openSubscribers, quiet } from '../support/subscribers.mjs';
import { Probe } from './probe.mjs';

/** One subscriber in so many looks at what it receives; the others count bytes, or the load generator were the limit. */
const PROBE_EVERY = 100;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts a server with its subscribers, and an intake for events from outside. */
export async function populate(contender, subscribers) {
  const server = await startServer(contender.script, contender.settings ?? {});
  const probes = [];
  const load = await openSubscribers(server.port, contender.join, subscribers, (index) => {
    if (index % PROBE_EVERY !== 0) return undefined;
    probes.push(new Probe());
    return probes.at(-1).onBytes;
  });
  const { port: intake } = await server.ask({ type: 'intake' });
  return { ...contender, subscribers, server, load, probes, intake };
}

/** Resolves when a server has worked off what it was sent. */
export function workedOff({ load }) {
  return quiet(load);
}

export function dismiss({ server, load }) {
  for (const client of load.clients) client.close();
  server.stop();
}

/** Whether the subscribers received what was sent; the queue of a server that falls behind only grows. */
export function keptUp({ received, perSecond }) {
  return received >= 0.9 * perSecond;
}

/**
 * Lets the publisher send `perSecond` events a second for a while, and looks at the second part of it.
 *
 * @returns latencies in milliseconds, events that each subscriber received a second, CPU as a share of one core.
 */
export async function offer(running, publisher, perSecond, { warmUpMs = 500, measureMs = 1_500 } = {}) {
  const { server, probes, intake, subscribers } = running;
  await publisher.start(intake, perSecond);
  await wait(warmUpMs);
  for (const probe of probes) probe.clear();
  const before = await cpuOf(server);
  const measured = startMeasuring();
  await wait(measureMs);
  const { seconds, loadShare } = measured();
  const latencies = probes.flatMap((probe) => probe.latencies);
  const after = await cpuOf(server);
  await publisher.pause();
  const received = latencies.length / probes.length / seconds;
  const cpuMicros = after.cpuMicros - before.cpuMicros;
  const cpuShare = cpuMicros / (after.atMicros - before.atMicros);
  return {
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    perSecond,
    received,
    deliveries: received * subscribers,
    cpuShare,
    cpuPerDelivery: (cpuShare * 1e6) / (received * subscribers),
    loadShare,
  };
}
