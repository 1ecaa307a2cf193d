import type { ChannelDefinition } from '../ports/channel-definition.js';
import type { Broker, Durability } from '../ports/broker.js';

const LEVELS: Readonly<Record<Durability, number>> = { process: 0, broker: 1, replicated: 2 };

/**
 * Refuses a channel that asks for more than its broker declares: never a weaker promise in silence.
 *
 * @throws RangeError that names the class, the wish, what the broker has, and the remedy.
 */
export function checkCapabilities(definitions: readonly ChannelDefinition[], broker: Broker): void {
  const { durability, dedupes, presence } = broker.capabilities;
  for (const { source, pattern, policy } of definitions) {
    const refuse = (wish: string, remedy: string): never => {
      throw new RangeError(
        `${source}: the channel "${pattern}" asks for ${wish}, which the ${broker.name} broker does not offer. ${remedy}`,
      );
    };
    if (LEVELS[policy.durability] > LEVELS[durability]) {
      refuse(
        `durability '${policy.durability}'`,
        `It offers '${durability}'. Configure a broker that keeps events longer, or lower the channel's durability.`,
      );
    }
    if (policy.log.dedupeMs > 0 && !dedupes)
      refuse('dedupe', 'Set dedupe: false, or use a broker that dedupes.');
    if (policy.presence !== false && !presence)
      refuse('presence', 'Set presence: false, or use a broker that keeps it.');
  }
}
