import { OverloadSwitch } from '../../access/overload-switch.js';
import { LowPriority } from '../../hub/low-priority.js';
import type { FlushScheduler } from '../../outbox/flush-scheduler.js';
import type { EngineOptions } from '../../ports/settings.js';
import { OverloadWatch, type OverloadWatchDeps } from './overload-watch.js';

type Deps = Pick<OverloadWatchDeps, 'turns' | 'observer' | 'journal'> & {
  readonly scheduler: Pick<FlushScheduler, 'channel'>;
};

/** What an engine needs to shed load. Without the option nothing is measured: `watch` is `undefined`. */
export function overloadParts(
  { shedding, clock, entropy }: Pick<EngineOptions, 'shedding' | 'clock' | 'entropy'>,
  { scheduler, ...deps }: Deps,
) {
  const overload = new OverloadSwitch(entropy);
  const lowPriority = new LowPriority(clock, scheduler);
  const onLow = (isOn: boolean): void => lowPriority.change(isOn);
  const watch = shedding && new OverloadWatch({ ...deps, ...shedding, clock, overload, onLow });
  return { overload, lowPriority, watch };
}
