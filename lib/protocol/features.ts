/** Optional features (P22). Neither side uses one unless `hello.features` and `welcome.features` both name it. */

/** Changes of the members of a large channel are told as their number (P22a). */
export const PRESENCE_COUNT = 'presence-count';

/** All that this version speaks. */
export const FEATURES: readonly string[] = [PRESENCE_COUNT];

/** Those of the other side that this one speaks too. */
export function commonFeatures(named: readonly string[]): readonly string[] {
  return FEATURES.filter((feature) => named.includes(feature));
}
