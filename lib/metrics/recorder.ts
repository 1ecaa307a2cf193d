import { CLOSE_CODES } from '../protocol/close-codes.js';
import { closeReasonOf } from '../core/ports/close-reason.js';
import { isErrorCode } from '../protocol/error-codes.js';
import type { AbuseAct, AdministrativeAct, Observer } from '../core/ports/observer.js';
import type { RestrictedAct } from '../core/ports/moderation.js';
import { METRICS, type MetricName } from './table/index.js';
import { Counts, Distributions } from './series.js';

/** Outcomes beside the error codes. */
const OUTCOMES: ReadonlySet<string> = new Set(['ok', 'duplicate', 'closed']);

type PlainAct = Exclude<AdministrativeAct['kind'] | AbuseAct['kind'], 'restrict' | 'lift'>;
type ActName = PlainAct | `${'restrict' | 'lift'}_${RestrictedAct}`;

/** Every act that there is: one of a new kind does not compile before it is here. */
const ACTS: Readonly<Record<ActName, true>> = {
  disconnect: true,
  disconnect_sessions: true,
  revoke: true,
  revoke_pattern: true,
  reauthorize: true,
  ban: true,
  unban: true,
  erase: true,
  restrict_ban: true,
  restrict_mute: true,
  restrict_slow: true,
  lift_ban: true,
  lift_mute: true,
  lift_slow: true,
  throttle: true,
  close: true,
};
const RESULTS = ['applied', 'partial', 'failed'];

type OfType<Type> = {
  [Name in MetricName]: (typeof METRICS)[Name]['type'] extends Type ? Name : never;
}[MetricName];

/** Counts what the engine notifies of. Labels are words of the library and of the application's code: patterns, never names. */
export class Recorder {
  private readonly counts = new Map<string, Counts>();
  private readonly distributions = new Map<string, Distributions>();

  /** @param name of a counter or gauge. */
  count(name: OfType<'counter' | 'gauge'>): Counts {
    return madeOnce(this.counts, name, () => new Counts(METRICS[name]));
  }

  /** @param name of a histogram. */
  distribution(name: OfType<'histogram'>): Distributions {
    return madeOnce(this.distributions, name, () => new Distributions(METRICS[name]));
  }

  /** The observer that feeds it. Each metric is looked up once, here. */
  observer(): Observer {
    return { ...this.ofConnections(), ...this.ofCommands(), ...this.ofDelivery(), ...this.ofActs() };
  }

  private ofConnections(): Observer {
    const disconnects = this.count('disconnects_total');
    // There from the start: what appears with its first value has no increase.
    for (const name of Object.keys(CLOSE_CODES)) disconnects.at(name, 'node');
    const refusals = this.count('refusals_total');
    const limited = this.count('rate_limited_total');
    const changes = this.count('broker_changes_total');
    return {
      onConnectionClose: (_connection, code, by) => {
        disconnects.at(closeReasonOf(code), by).value++;
      },
      onRefusal: (at, reason) => {
        refusals.at(at, String(reason)).value++;
      },
      onRateLimit: ({ transport }) => {
        limited.at(transport).value++;
      },
      onBrokerState: (state) => {
        changes.at(state).value++;
      },
    };
  }

  private ofCommands(): Observer {
    const inFlight = this.count('commands_in_flight').at();
    const commands = this.count('commands_total');
    const durations = this.distribution('command_duration_seconds');
    const authorizations = this.count('authorizations_total');
    const authorizing = this.distribution('authorization_duration_seconds');
    const publishes = this.count('publishes_total');
    const publishing = this.distribution('publish_duration_seconds');
    const subscribes = this.count('subscribes_total');
    return {
      onCommandStart: () => {
        inFlight.value++;
      },
      onCommandEnd: (_connection, { type }, outcome, durationMs) => {
        inFlight.value--;
        commands.at(type, outcomeOf(outcome)).value++;
        durations.at(type).observe(durationMs / 1_000);
      },
      onAuthorization: (_call, pattern, action, outcome, durationMs) => {
        authorizations.at(pattern, action, outcomeOf(outcome)).value++;
        authorizing.at(pattern).observe(durationMs / 1_000);
      },
      onPublish: (pattern, outcome, durationMs) => {
        publishes.at(pattern, outcomeOf(outcome)).value++;
        publishing.at(pattern).observe(durationMs / 1_000);
      },
      onSubscribe: (pattern, recovery, why) => {
        subscribes.at(pattern, recovery, why).value++;
      },
    };
  }

  private ofDelivery(): Observer {
    const delivered = this.count('events_delivered_total');
    const waits = this.distribution('delivery_wait_seconds');
    const toSocket = this.distribution('publish_to_socket_seconds');
    const signals = this.count('signals_sent_total');
    const lostSignals = this.count('signals_dropped_total');
    const gaps = this.count('gaps_total');
    const dropped = this.count('events_dropped_total');
    const replays = this.count('replays_total');
    const replayed = this.distribution('replay_events');
    const replaying = this.distribution('replay_duration_seconds');
    const heals = this.count('heals_total');
    const healed = this.count('healed_events_total');
    const resets = this.count('resets_total');
    return {
      onDelivery: (pattern, events, sessions) => {
        delivered.at(pattern).value += events * sessions;
      },
      onDeliveryEnd: (pattern, waitedMs) => {
        waits.at(pattern).observe(waitedMs / 1_000);
      },
      onPublishDelivered: (pattern, durationMs) => {
        toSocket.at(pattern).observe(durationMs / 1_000);
      },
      onSignal: (pattern, sessions, lost) => {
        signals.at(pattern).value += sessions;
        if (lost > 0) lostSignals.at(pattern).value += lost;
      },
      onGap: (pattern, reason, events, policy) => {
        gaps.at(pattern, reason, policy).value++;
        dropped.at(pattern, reason, policy).value += events;
      },
      onReplay: (pattern, events, durationMs) => {
        replays.at(pattern).value++;
        replayed.at(pattern).observe(events);
        replaying.at(pattern).observe(durationMs / 1_000);
      },
      onHeal: (pattern, events) => {
        heals.at(pattern).value++;
        healed.at(pattern).value += events;
      },
      onReset: (pattern, recovery) => {
        resets.at(pattern, recovery).value++;
      },
    };
  }

  private ofActs(): Observer {
    const acts = this.count('acts_total');
    // There from the start, so that the first failure is an increase.
    for (const name of Object.keys(ACTS)) for (const result of RESULTS) acts.at(name, result);
    const durations = this.distribution('act_duration_seconds');
    const spam = this.count('spam_refusals_total');
    const circuits = this.count('circuits_total');
    return {
      onAct: (act, receipt, _error, durationMs) => {
        const name = nameOf(act);
        const applied = receipt?.missing.length === 0 ? 'applied' : 'partial';
        acts.at(name, receipt === undefined ? 'failed' : applied).value++;
        durations.at(name).observe(durationMs / 1_000);
      },
      onSpam: ({ pattern, step = 'none' }) => {
        spam.at(pattern, step).value++;
      },
      onCircuit: ({ handler, state, of }) => {
        circuits.at(handler, state, of).value++;
      },
    };
  }
}

/** A code that is none of the catalogue came from the application, and may be anything. */
function outcomeOf(outcome: string): string {
  return OUTCOMES.has(outcome) || isErrorCode(outcome) ? outcome : 'other';
}

/** Kind of an act, with that of the restriction. */
function nameOf(act: AdministrativeAct | AbuseAct): ActName {
  return act.kind === 'restrict' || act.kind === 'lift' ? `${act.kind}_${act.act}` : act.kind;
}

function madeOnce<Value>(known: Map<string, Value>, name: string, make: () => Value): Value {
  let found = known.get(name);
  if (found === undefined) known.set(name, (found = make()));
  return found;
}
