import { TAIL_MS } from '../../nest/lifecycle/shutdown.js';
import { check, type Check, type Verdict } from '../check.js';
import { list, size, time } from '../words.js';

const health = check({
  id: 'operations.health',
  title: 'Health',
  asks: 'Does an orchestrator learn whether events reach this node?',
  see: 'guide.md#report-health-and-shut-down',
  clients: false,
  outcomes: {
    mounted: { level: 'ok', finding: 'RealtimeHealthIndicator is asked by {classes}.' },
    unused: {
      level: 'warning',
      finding:
        'RealtimeHealthModule is imported, and no class injects RealtimeHealthIndicator: no probe asks it.',
      remedy: 'Call live() and ready() in the controller of your probes.',
    },
    missing: {
      level: 'warning',
      finding: 'No health indicator: a node that receives no events, or drains, gets clients all the same.',
      remedy:
        'Import RealtimeHealthModule of nestjs-realtime/health, and call live() and ready() in the controller of your probes.',
    },
  },
  judge: ({ health: classes }) => {
    if (classes === undefined) return [{ outcome: 'missing' }];
    return classes.length === 0
      ? [{ outcome: 'unused' }]
      : [{ outcome: 'mounted', values: { classes: list(classes) } }];
  },
});

/** Three of them fit into the time that the alerts look at (docs/metrics.md). */
const MOST_PROBE_MS = 30_000;

const metrics = check({
  id: 'operations.metrics',
  title: 'Metrics',
  asks: 'Is it measured what connects, flows and is refused?',
  see: 'metrics.md#add-the-metrics',
  clients: false,
  outcomes: {
    measured: { level: 'ok', finding: 'Notified of what happens: {names}.' },
    blind: {
      level: 'warning',
      finding: 'Nothing observes the module: no alarm can tell of refusals, gaps, queues or a lost broker.',
      remedy:
        'Import RealtimeMetricsModule.forRoot() of nestjs-realtime/metrics, or give forRoot({ observers }) an observer that feeds your metrics.',
    },
    rare: {
      level: 'warning',
      finding:
        'RealtimeMetricsModule sends {every}: the alerts of the broker count the probes that failed within two minutes, and stay silent.',
      remedy:
        "Leave probeEvery out, for '15s', or set it to '30s' or less; or accept this, without these alerts.",
    },
  },
  judge: ({ metrics: names, probeEveryMs: everyMs }) => {
    if (names.length === 0) return [{ outcome: 'blind' }];
    if (everyMs === undefined || (everyMs > 0 && everyMs <= MOST_PROBE_MS))
      return [{ outcome: 'measured', values: { names: list(names) } }];
    const every = everyMs === 0 ? 'no probes' : `a probe every ${time(everyMs)} only`;
    return [{ outcome: 'rare', values: { every } }];
  },
});

const drain = check({
  id: 'operations.drain',
  title: 'Drain',
  asks: 'Are clients gone before the orchestrator kills the process?',
  see: 'deployment.md#deploy-without-losing-anybody',
  clients: false,
  outcomes: {
    paced: {
      level: 'ok',
      finding:
        'Clients leave over {spread}, at most {deadline}; with hooks, broker and audit at most {need} of the {grace} of the orchestrator. main.ts has to call app.enableShutdownHooks().',
    },
    killed: {
      level: 'error',
      finding:
        'Closing may take {need} (drain.deadline, and 5 s), and the orchestrator kills after {grace}: clients are cut, and what was accepted may be lost.',
      remedy: 'Lower drain.deadline below {most}, or give the orchestrator more, and say so with --grace.',
    },
    cut: {
      level: 'warning',
      finding:
        'drain.deadline is {deadline}: clients are cut at each deploy, without a moment at which to come back.',
      remedy: "Leave drain.deadline out, for '10s'.",
    },
    burst: {
      level: 'warning',
      finding: 'drain.spread is 0: all clients leave in one moment, and come to the other nodes together.',
      remedy: "Leave drain.spread out, for '5s'.",
    },
  },
  judge: ({ attaches, config, graceMs }) => {
    const { drainDeadlineMs: deadlineMs, settings } = config;
    const needMs = deadlineMs + TAIL_MS;
    const values = {
      deadline: time(deadlineMs),
      spread: time(settings.drainSpreadMs),
      need: time(needMs),
      grace: time(graceMs),
      most: time(Math.max(0, graceMs - TAIL_MS)),
    };
    const found: Verdict<'killed' | 'cut' | 'burst'>[] = [];
    if (needMs >= graceMs) found.push({ outcome: 'killed', values });
    if (attaches && deadlineMs < 1_000) found.push({ outcome: 'cut', values });
    else if (attaches && settings.drainSpreadMs === 0) found.push({ outcome: 'burst', values });
    return found.length > 0 ? found : [{ outcome: 'paced', values }];
  },
});

/** Younger, connections resume so often that it costs as much as what they came for. */
const LEAST_AGE_MS = 600_000;
/** Share of the age by which a connection may leave earlier (docs/operations.md). */
const EARLIER = 0.2;

const rotation = check({
  id: 'operations.rotation',
  title: 'Rotation',
  asks: 'Do connections that are old come to the nodes that are new?',
  see: 'operations.md#let-old-connections-come-back',
  outcomes: {
    rotated: { level: 'ok', finding: 'Each connection comes back after {least} to {age}.' },
    single: { level: 'ok', finding: 'There is one process, and no other node to come to.' },
    never: {
      level: 'advice',
      finding:
        'maxConnectionAge is 0: connections stay where they are, and a node that comes later gets fresh clients only.',
      remedy: "Set maxConnectionAge: '1h'.",
    },
    hasty: {
      level: 'warning',
      finding:
        'maxConnectionAge is {age}: each connection resumes that often, and each resume costs a connect.',
      remedy: "Set maxConnectionAge: '1h', or 0 for none.",
    },
  },
  judge: ({ broker, config: { settings } }) => {
    const ageMs = settings.maxConnectionAgeMs;
    const values = { age: time(ageMs), least: time(Math.round(ageMs * (1 - EARLIER))) };
    if (ageMs > 0) return [{ outcome: ageMs < LEAST_AGE_MS ? 'hasty' : 'rotated', values }];
    return [{ outcome: broker.capabilities.durability === 'process' ? 'single' : 'never' }];
  },
});

/** Below it, what a node in order shows is taken for an overload. */
const USUAL = { loopDelayMs: 100, memoryPercent: 60, queueAgeMs: 500, memoryBytes: 128 * 1024 * 1024 };

const shedding = check({
  id: 'operations.shedding',
  title: 'Shedding',
  asks: 'What does a node give up when it has too much to do?',
  see: 'operations.md#what-an-overloaded-node-gives-up',
  outcomes: {
    sheds: {
      level: 'ok',
      finding:
        'From {loopDelay} of delay, {memory} % of {of} or {queueAge} of waiting on for {raiseAfter}, one step after the other up to "{upTo}".',
    },
    off: {
      level: 'warning',
      finding:
        'shedding is false: a node with too much to do answers nobody in time, and loses all clients at once.',
      remedy: 'Leave shedding out.',
    },
    never: {
      level: 'warning',
      finding: '{path} is {value}, which is not reached while clients are there: {why}.',
      remedy: 'Set {path} below {usual}, or leave it out.',
    },
    nervous: {
      level: 'warning',
      finding: '{path} is {value}: a node in order may have that, and would refuse clients for it.',
      remedy: 'Set {path} to {usual} or more, or leave it out.',
    },
  },
  judge: ({ config, machineBytes }) => {
    if (config.shedding === undefined) return [{ outcome: 'off' }];
    const { policy, memoryLimit } = config.shedding;
    const { loopDelayMs, memoryPercent, queueAgeMs, raiseAfterMs, upTo } = policy;
    const { intervalMs, timeoutMs } = config.settings.heartbeat;
    const found: Verdict<'never' | 'nervous'>[] = [];
    const note = (
      outcome: 'never' | 'nervous',
      name: string,
      value: string,
      usual: string,
      why = '',
    ): void => {
      const path = `shedding.${name}`;
      found.push({ outcome, subject: path, values: { path, value, usual, why } });
    };
    const late = 'heartbeats are missed first, and clients leave';
    if (loopDelayMs >= timeoutMs) note('never', 'loopDelay', time(loopDelayMs), time(timeoutMs), late);
    else if (loopDelayMs < USUAL.loopDelayMs)
      note('nervous', 'loopDelay', time(loopDelayMs), time(USUAL.loopDelayMs));
    if (queueAgeMs >= timeoutMs) note('never', 'queueAge', time(queueAgeMs), time(timeoutMs), late);
    else if (queueAgeMs < USUAL.queueAgeMs)
      note('nervous', 'queueAge', time(queueAgeMs), time(USUAL.queueAgeMs));
    const silenceMs = intervalMs + timeoutMs;
    if (raiseAfterMs >= silenceMs) note('never', 'raiseAfter', time(raiseAfterMs), time(silenceMs), late);
    if (memoryPercent < USUAL.memoryPercent)
      note('nervous', 'memory', `${memoryPercent} %`, `${USUAL.memoryPercent} %`);
    if (memoryLimit !== undefined) {
      const most = (memoryLimit * memoryPercent) / 100;
      const machine = `the machine has ${size(machineBytes)}`;
      if (most >= machineBytes) note('never', 'memoryLimit', size(memoryLimit), size(machineBytes), machine);
      else if (most < USUAL.memoryBytes)
        note('nervous', 'memoryLimit', size(memoryLimit), size(leastLimit(memoryPercent)));
    }
    if (found.length > 0) return found;
    const values = {
      loopDelay: time(loopDelayMs),
      memory: memoryPercent,
      of: memoryLimit === undefined ? 'the memory of the container, or of the heap' : size(memoryLimit),
      queueAge: time(queueAgeMs),
      raiseAfter: time(raiseAfterMs),
      upTo,
    };
    return [{ outcome: 'sheds', values }];
  },
});

/** A limit of the memory that leaves what a process in order holds, in whole MiB. */
function leastLimit(percent: number): number {
  const mib = 1024 * 1024;
  return Math.ceil((USUAL.memoryBytes * 100) / percent / mib) * mib;
}

const audit = check({
  id: 'operations.audit',
  title: 'Audit',
  asks: 'Is it known later who banned or disconnected whom?',
  see: 'audit.md#keep-the-entries',
  clients: false,
  outcomes: {
    kept: { level: 'ok', finding: 'Entries go to {sinks}.' },
    apart: {
      level: 'warning',
      finding:
        'The first sink that can be read is the memory of each process, and {broker} is for several nodes: each node lists only what was done through it.',
      remedy: 'Put redisSink() of nestjs-realtime/audit in the place of memorySink().',
    },
    forgotten: {
      level: 'warning',
      finding: 'Entries of the admin API are kept in the memory of this process alone: they end with it.',
      remedy: 'Set audit: { sinks: {sinks} } of nestjs-realtime/audit.',
    },
    unreadable: {
      level: 'warning',
      finding: 'Entries go to {sinks}, which cannot be read: the admin API cannot list them.',
      remedy: 'Add {sink} of nestjs-realtime/audit behind them.',
    },
    memory: {
      level: 'advice',
      finding: 'Entries are kept in the memory of this process alone: they end with it.',
      remedy: 'Set audit: { sinks: {sinks} } of nestjs-realtime/audit, where people act on users.',
    },
  },
  judge: ({ admin, broker, config: { audit: settings } }) => {
    const sinks = settings.sinks.map(({ name = 'a sink of the application' }) => name);
    const readable = settings.sinks.find((sink) => sink.read !== undefined);
    const isAlone = broker.capabilities.durability === 'process';
    // What all nodes share, where there are several.
    const sink = isAlone ? 'memorySink(), or redisSink(),' : 'redisSink()';
    const better = isAlone ? '[logSink(), memorySink()]' : '[redisSink(), logSink()]';
    if (admin !== undefined && readable === undefined && sinks.length > 0)
      return [{ outcome: 'unreadable', values: { sinks: list(sinks), sink } }];
    const isKept = sinks.some((name) => name !== 'memory');
    if (isKept && !isAlone && readable?.name === 'memory')
      return [{ outcome: 'apart', values: { broker: broker.name } }];
    if (isKept) return [{ outcome: 'kept', values: { sinks: list(sinks) } }];
    return [{ outcome: admin === undefined ? 'memory' : 'forgotten', values: { sinks: better } }];
  },
});

export const OPERATIONS: readonly Check[] = [health, metrics, drain, rotation, shedding, audit];
