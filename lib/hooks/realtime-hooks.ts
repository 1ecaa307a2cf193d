import type { InjectionToken } from '@nestjs/common';
import { ThrottledLog } from '../core/async/throttled-log.js';
import { ChannelSet } from '../core/channel/channel-set.js';
import { duration } from '../core/ports/settings-defaults.js';
import { BootProblems } from '../nest/errors/realtime-boot-error.js';
import type { FoundProvider, HooksRun, HooksSite, RealtimeHooks } from '../nest/hooks.js';
import type { Duration } from '../nest/options/duration.js';
import { OptionReader } from '../nest/options/option-reader.js';
import { Deliveries } from './deliveries.js';
import type { HookTarget } from './hook-event.js';
import { HookConsumer } from './hook-consumer.js';
import { OfflineNotices } from './offline-notices.js';
import { HOOK_METHODS, providerTarget } from './provider-target.js';
import { Webhook } from './webhooks/webhook.js';

/** A day: what is longer is no pause of a subscriber. */
const MAX_VACATED_AFTER_MS = 86_400_000;
const VACATED_AFTER = duration(5_000, { max: MAX_VACATED_AFTER_MS });

/** What is followed, and what is called. Nodes of one cluster must have the same. */
export interface RealtimeHooksOptions {
  /**
   * Names, and patterns as in `@Channel`, of the channels that are followed. Each costs the broker a little for its first and last
   * subscriber on each node, and for each device of its members; nothing for its events. Default: none, so that only
   * `onOffline` is called.
   */
  readonly channels?: readonly string[];
  /** How long a channel must be without subscribers before it counts as vacated: a page that reloads is no end. At most a day. Default `'5s'`. */
  readonly vacatedAfter?: Duration;
  /** Providers of the application, by class or token, with methods of {@link HookProvider}. They must be singletons. Default: none. */
  readonly providers?: readonly InjectionToken[];
  /** What `webhookTarget()` makes, or a target of your own. Default: none. */
  readonly webhooks?: readonly HookTarget[];
}

/**
 * Follows, over all nodes, which channels have subscribers and which users are their members, and calls providers and webhooks when
 * that begins and ends; for the option `hooks` of the module.
 *
 * Each beginning and each end is recorded once, where the broker keeps the state: of one channel, and of one member, they alternate,
 * also when nodes are killed (G32). One node of the cluster hands them over, in order, until each target has taken them: at least
 * once, with the same `id`. A broker other than those of this package needs `transitions`.
 *
 * @throws RealtimeBootError for options that cannot work, with the remedy.
 * @example
 * RealtimeModule.forRoot({
 *   hooks: realtimeHooks({ channels: ['rooms.:room'], vacatedAfter: '5s', providers: [RoomHooks] }),
 * });
 * @publicApi
 */
export function realtimeHooks(options: RealtimeHooksOptions): RealtimeHooks {
  const problems = new BootProblems();
  const reader = OptionReader.of(options, 'hooks', problems);
  const channels =
    reader.checked(
      'channels',
      isChannels,
      'is not a list of channels.',
      'Give names or patterns, such as ["rooms.:room"].',
    ) ?? [];
  const vacatedAfterMs = reader.one('vacatedAfter', VACATED_AFTER);
  const providers =
    reader.checked(
      'providers',
      isProviders,
      'is not a list of providers.',
      'Give classes, or tokens, of providers of the application.',
    ) ?? [];
  const webhooks =
    reader.checked(
      'webhooks',
      isTargets,
      'is not a list of targets.',
      'Give what webhookTarget({ url, secret }) makes.',
    ) ?? [];
  reader.end();
  problems.throwIfAny();
  return {
    policy: { channels, vacatedAfterMs },
    providers,
    webhooks: webhooks.map((target) => (target instanceof Webhook ? target.facts : undefined)),
    open: (site, found) => open(site, targetsOf(site.providers, webhooks, channels, found)),
  };
}

/** Reports targets that would never be called. */
function targetsOf(
  providers: readonly (FoundProvider | undefined)[],
  webhooks: readonly HookTarget[],
  channels: readonly string[],
  problems: BootProblems,
): readonly HookTarget[] {
  const ofProviders = providers.flatMap((found, index) => {
    if (found === undefined) return [];
    const target = providerTarget(found.name, found.instance);
    if (target.types.size > 0) return [target];
    problems.add(
      `hooks.providers[${index}]`,
      `is ${found.name}, which has no method that hooks call.`,
      `Give it one of ${HOOK_METHODS.join(', ')}.`,
    );
    return [];
  });
  const targets = [...ofProviders, ...webhooks];
  const idle = targets.find((target) => channels.length === 0 && followsChannels(target));
  if (idle !== undefined) {
    problems.add(
      'hooks.channels',
      `is missing, and ${idle.name} is for what happens in channels.`,
      'Say which channels are followed, such as ["rooms.:room"].',
    );
  }
  return targets;
}

function followsChannels({ types }: HookTarget): boolean {
  return types.size > 1 || !types.has('user.offline');
}

function open(site: HooksSite, targets: readonly HookTarget[]): HooksRun {
  const { clock, entropy, logger, transitions } = site;
  const journal = new ThrottledLog(logger, clock);
  const deliveries = new Deliveries({ targets, clock, entropy, journal });
  const notices = new OfflineNotices({
    deliveries,
    online: site.online,
    isErased: site.isErased,
    clock,
    journal,
  });
  // A node whose targets want nothing of channels leaves them to the others.
  const consumer =
    transitions !== undefined && targets.some(followsChannels)
      ? new HookConsumer({ transitions, deliveries, clock, journal })
      : undefined;
  return {
    start: () => consumer?.start(),
    onNotice: (user, notice) => notices.published(user, notice),
    onErased(channel, seqs) {
      const erased = new Set(seqs);
      notices.erased(channel, erased);
      deliveries.erased(channel, erased);
    },
    status: () => deliveries.status,
    async close(time) {
      // Each has half of what is left at most, so that the broker is told of what was taken until then.
      const first = time.share({ keepMs: time.ms / 2 });
      await Promise.all([consumer?.stop(first), notices.close(first)]);
      await deliveries.close(time.share({ keepMs: time.ms / 2 }));
      if (consumer !== undefined) await time.wait(consumer.tell());
    },
  };
}

function isChannels(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isChannelSet);
}

function isChannelSet(value: unknown): boolean {
  try {
    return typeof value === 'string' && ChannelSet.parse(value) !== ChannelSet.ALL;
  } catch {
    return false;
  }
}

function isProviders(value: unknown): value is readonly InjectionToken[] {
  return (
    Array.isArray(value) && value.every((token) => ['function', 'string', 'symbol'].includes(typeof token))
  );
}

function isTargets(value: unknown): value is readonly HookTarget[] {
  return Array.isArray(value) && value.every(isTarget);
}

function isTarget(value: unknown): value is HookTarget {
  const { deliver, types, name } = (value ?? {}) as Partial<HookTarget>;
  return typeof deliver === 'function' && types instanceof Set && typeof name === 'string';
}
