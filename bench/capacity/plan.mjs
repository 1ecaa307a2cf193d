const DEFAULTS = {
  channelsPerConnection: 1,
  bytes: 128,
  source: 'clients',
  requests: 0,
  lifetime: 3_600,
  heartbeat: 25,
  flushDelay: 0.02,
  history: 1_000,
  maxConnections: 100_000,
  target: 0.6,
  memory: Infinity,
  bandwidth: Infinity,
  cores: 1,
};

/**
 * What is asked, with defaults filled in. Durations in seconds, sizes in bytes, rates a second over all nodes.
 *
 * @param {object} said `connections`, `channels` and `rate` at least.
 * @throws RangeError when something is missing or cannot be, with the remedy.
 */
export function planOf(said) {
  for (const name of ['connections', 'channels', 'rate']) {
    if (said[name] === undefined) throw new RangeError(`--${name} is missing. --help lists the flags.`);
  }
  if (said.subscribers !== undefined && said.channelsPerConnection !== undefined)
    throw new RangeError('--subscribers and --channels-per-connection say the same thing: give one of them.');
  const plan = { ...DEFAULTS, ...said };
  plan.subscribers ??= (plan.connections * plan.channelsPerConnection) / plan.channels;
  if (plan.subscribers > plan.connections) {
    throw new RangeError(
      'A channel cannot have more subscribers than there are connections: lower --subscribers or --channels-per-connection.',
    );
  }
  if (plan.target > 1) throw new RangeError('--target is a share of one core, 100% at most.');
  return plan;
}
