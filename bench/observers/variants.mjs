export const WITHOUT = 'without';
export const AGAIN = 'without, again';

/** The library without observers, twice, and with each of them. */
export const variants = {
  [WITHOUT]: {},
  metrics: { metrics: true },
  'tracing, no provider': { tracing: 0 },
  'OpenTelemetry in the process, not in the library': { provider: 0.01 },
  'tracing, 1 % sampled': { tracing: 0.01 },
  'tracing, sampleRatio 1 %': { tracing: 1, sampleRatio: 0.01 },
  'metrics, tracing 1 %': { metrics: true, tracing: 0.01 },
  'metrics, sampleRatio 1 %': { metrics: true, tracing: 1, sampleRatio: 0.01 },
  [AGAIN]: {},
};

/** The names in an order that is another one each round, so that none is always behind the same one. */
export function turn(names, round) {
  const start = ((round % names.length) + names.length) % names.length;
  return [...names.slice(start), ...names.slice(0, start)];
}
