import { TAIL_MS } from '../../nest/lifecycle/shutdown.js';
import { check, type Check, type Verdict } from '../check.js';
import { list, time } from '../words.js';

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

const metrics = check({
  id: 'operations.metrics',
  title: 'Metrics',
  asks: 'Is it measured what connects, flows and is refused?',
  see: 'audit.md#follow-everything-that-happens',
  clients: false,
  outcomes: {
    measured: { level: 'ok', finding: 'Notified of what happens: {names}.' },
    blind: {
      level: 'warning',
      finding: 'Nothing observes the module: no alarm can tell of refusals, gaps, queues or a lost broker.',
      remedy: 'Give forRoot({ observers }) an observer that feeds your metrics.',
    },
  },
  judge: ({ metrics: names }) => [
    names.length === 0 ? { outcome: 'blind' } : { outcome: 'measured', values: { names: list(names) } },
  ],
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

const audit = check({
  id: 'operations.audit',
  title: 'Audit',
  asks: 'Is it known later who banned or disconnected whom?',
  see: 'audit.md#keep-the-entries',
  clients: false,
  outcomes: {
    kept: { level: 'ok', finding: 'Entries go to {sinks}.' },
    forgotten: {
      level: 'warning',
      finding: 'Entries of the admin API are kept in the memory of this process alone: they end with it.',
      remedy: 'Set audit: { sinks: [logSink(), memorySink()] }, or redisSink(), of nestjs-realtime/audit.',
    },
    unreadable: {
      level: 'warning',
      finding: 'Entries go to {sinks}, which cannot be read: the admin API cannot list them.',
      remedy: 'Add memorySink() of nestjs-realtime/audit behind them, or use redisSink().',
    },
    memory: {
      level: 'advice',
      finding: 'Entries are kept in the memory of this process alone: they end with it.',
      remedy:
        'Set audit: { sinks: [logSink(), memorySink()] }, or redisSink(), of nestjs-realtime/audit, where people act on users.',
    },
  },
  judge: ({ admin, config: { audit: settings } }) => {
    const sinks = settings.sinks.map(({ name = 'a sink of the application' }) => name);
    const isReadable = settings.sinks.some((sink) => sink.read !== undefined);
    if (admin !== undefined && !isReadable && sinks.length > 0)
      return [{ outcome: 'unreadable', values: { sinks: list(sinks) } }];
    if (sinks.some((name) => name !== 'memory')) return [{ outcome: 'kept', values: { sinks: list(sinks) } }];
    return [{ outcome: admin === undefined ? 'memory' : 'forgotten' }];
  },
});

export const OPERATIONS: readonly Check[] = [health, metrics, drain, audit];
