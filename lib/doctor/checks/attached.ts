import { check, type Check, type Verdict } from '../check.js';
import { isExample } from '../secrets.js';
import { time } from '../words.js';

/** What a target is away for when it is deployed. */
const LEAST_MAX_AGE_MS = 300_000;
/** So long an attempt may keep the events of its channel waiting. */
const MOST_TIMEOUT_MS = 30_000;

const hooks = check({
  id: 'operations.hooks',
  title: 'Hooks',
  asks: 'Do hooks reach their targets, and can nobody else read or forge them?',
  see: 'hooks.md#webhooks',
  clients: false,
  outcomes: {
    none: { level: 'ok', finding: 'There are no hooks.' },
    called: { level: 'ok', finding: 'Targets of hooks: providers {providers}, webhooks {webhooks}.' },
    idle: {
      level: 'warning',
      finding: 'Hooks follow channels, which costs the broker something, and call nobody.',
      remedy: 'Give hooks.providers or hooks.webhooks, or leave hooks out.',
    },
    guessable: {
      level: 'error',
      finding: 'A secret of {path} ({name}) can be guessed: whoever does forges events.',
      remedy: 'Take 32 random bytes from a secret store: echo whsec_$(openssl rand -base64 32).',
    },
    plain: {
      level: 'warning',
      finding:
        'The address of {path} ({name}) has http: whoever is on the way reads the events, and may swallow them.',
      remedy: 'Use https:, and leave allowHttp out.',
    },
    brief: {
      level: 'warning',
      finding: '{path} ({name}) loses what is older than {maxAge}: a deploy of the target may take longer.',
      remedy: "Leave maxAge out, for '1h'.",
    },
    slow: {
      level: 'warning',
      finding:
        '{path} ({name}) has {timeout} for each attempt: one that hangs holds up its channel for as long.',
      remedy: "Leave timeout out, for '10s', and let the target answer before it works.",
    },
  },
  judge: ({ config }) => {
    if (config.hooks === undefined) return [{ outcome: 'none' }];
    const { providers, webhooks } = config.hooks;
    if (providers.length + webhooks.length === 0) return [{ outcome: 'idle' }];
    const found = webhooks.flatMap((webhook, index): Verdict<'guessable' | 'plain' | 'brief' | 'slow'>[] => {
      if (webhook === undefined) return [];
      const { name, keys, isPlain, maxAgeMs, timeoutMs } = webhook;
      const path = `hooks.webhooks[${index}]`;
      const values = { path, name, maxAge: time(maxAgeMs), timeout: time(timeoutMs) };
      const all = [
        ['guessable', keys.some(isExample)],
        ['plain', isPlain],
        ['brief', maxAgeMs < LEAST_MAX_AGE_MS],
        ['slow', timeoutMs > MOST_TIMEOUT_MS],
      ] as const;
      return all.flatMap(([outcome, isSo]) => (isSo ? [{ outcome, subject: path, values }] : []));
    });
    if (found.length > 0) return found;
    return [{ outcome: 'called', values: { providers: providers.length, webhooks: webhooks.length } }];
  },
});

const tracing = check({
  id: 'operations.tracing',
  title: 'Traces',
  asks: 'Are there traces of what is slow, at a cost that is meant?',
  see: 'tracing.md#spans',
  clients: false,
  outcomes: {
    off: { level: 'ok', finding: 'Nothing is traced, which costs nothing.' },
    sampled: { level: 'ok', finding: '{percent} % of the traces that begin here are sampled.' },
    own: { level: 'ok', finding: 'What is sampled is decided by a sampler that the doctor does not know.' },
    absent: {
      level: 'warning',
      finding: 'tracing is set, and no OpenTelemetry SDK is registered in this process: nothing is traced.',
      remedy:
        "Start the SDK before the application, and before the doctor: NODE_OPTIONS='--import ./instrumentation.mjs'.",
    },
    apart: {
      level: 'warning',
      finding:
        'OpenTelemetry has no context manager: spans of handlers are not connected with those of what they call.',
      remedy: 'Let the SDK for Node register, which brings one.',
    },
    all: {
      level: 'warning',
      finding: 'Every trace is sampled: each publish makes a span for each node that delivers it.',
      remedy: 'Give openTelemetry() a share, { sampleRatio: 0.01 }, or the SDK a sampler.',
    },
    nothing: {
      level: 'warning',
      finding: '0 % are sampled: tracing is set, and records nothing that begins here.',
      remedy: 'Raise sampleRatio, or the share of the sampler, or leave tracing out.',
    },
  },
  judge: ({ config, tracing: facts }) => {
    if (config.tracing === undefined) return [{ outcome: 'off' }];
    if (facts === undefined) return [{ outcome: 'own' }];
    const { hasProvider, hasContexts, share } = facts;
    if (!hasProvider) return [{ outcome: 'absent' }];
    const found: Verdict<'apart' | 'all' | 'nothing'>[] = [];
    if (!hasContexts) found.push({ outcome: 'apart' });
    if (share === 1) found.push({ outcome: 'all' });
    if (share === 0) found.push({ outcome: 'nothing' });
    if (found.length > 0) return found;
    if (share === undefined) return [{ outcome: 'own' }];
    return [{ outcome: 'sampled', values: { percent: Number((share * 100).toPrecision(3)) } }];
  },
});

/** What the application attaches to the module: hooks, traces. */
export const ATTACHED: readonly Check[] = [hooks, tracing];
