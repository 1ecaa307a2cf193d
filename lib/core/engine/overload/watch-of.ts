import type { LowPriority } from '../../hub/low-priority.js';
import type { EngineOptions } from '../../ports/settings.js';
import { OverloadWatch, type OverloadWatchDeps } from './overload-watch.js';

type Deps = Omit<OverloadWatchDeps, 'policy' | 'sampler' | 'onLow'> & {
  readonly lowPriority: Pick<LowPriority, 'change'>;
};

/** @returns `undefined` where this node sheds no load: then nothing is measured. */
export function overloadWatchOf(
  shedding: EngineOptions['shedding'],
  { lowPriority, ...deps }: Deps,
): OverloadWatch | undefined {
  if (shedding === undefined) return undefined;
  return new OverloadWatch({ ...deps, ...shedding, onLow: (isOn) => lowPriority.change(isOn) });
}
