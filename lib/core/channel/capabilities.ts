import type { Broker, Durability } from '../ports/broker.js';
import type { ChannelDefinition, ChannelPolicy } from '../ports/channel-definition.js';

const LEVELS: readonly Durability[] = ['process', 'broker', 'replicated'];

/** An option of a channel that asks for more than the broker offers. */
export interface Shortfall {
  readonly option: 'durability' | 'dedupe' | 'presence';
  /** What is wrong: continues a sentence that begins with the option. */
  readonly problem: string;
  readonly remedy: string;
}

/** Lists what a channel asks for and its broker does not offer: nothing is promised that cannot be kept (G1). */
export function shortfallsOf(
  policy: ChannelPolicy,
  { name, capabilities }: Pick<Broker, 'name' | 'capabilities'>,
): readonly Shortfall[] {
  const found: Shortfall[] = [];
  if (LEVELS.indexOf(policy.durability) > LEVELS.indexOf(capabilities.durability)) {
    found.push({
      option: 'durability',
      problem: `is "${policy.durability}", but the ${name} broker promises "${capabilities.durability}".`,
      remedy: 'Use a broker that promises more, or ask for less.',
    });
  }
  const lacks = (option: 'dedupe' | 'presence', what: string): number =>
    found.push({
      option,
      problem: `is set, but the ${name} broker ${what}.`,
      remedy: 'Leave it out, or use another broker.',
    });
  if (policy.log.dedupeMs > 0 && !capabilities.dedupes) lacks('dedupe', 'does not dedupe');
  if (policy.presence !== false && !capabilities.presence) lacks('presence', 'keeps none');
  return found;
}

/** @throws RangeError for the first channel that asks for more than the broker offers. */
export function assertCapabilities(definitions: readonly ChannelDefinition[], broker: Broker): void {
  for (const { source, pattern, policy } of definitions) {
    for (const { option, problem, remedy } of shortfallsOf(policy, broker))
      throw new RangeError(`${source}: ${option} of the channel "${pattern}" ${problem} ${remedy}`);
  }
}
