import type { Broker, Durability } from '../ports/broker.js';
import type { ChannelPolicy } from '../ports/channel-definition.js';

/** Levels of durability, the weakest first. */
export const DURABILITIES: readonly Durability[] = ['process', 'broker', 'replicated'];

/** An option of a channel that its broker does not meet. */
export interface UnmetNeed {
  readonly option: 'durability' | 'dedupe' | 'presence';
  readonly problem: string;
  readonly remedy: string;
}

/** What a channel asks for and its broker does not declare: never a weaker promise in silence (G1). */
export function unmetNeeds(
  { durability, log, presence }: Pick<ChannelPolicy, 'durability' | 'log' | 'presence'>,
  { name, capabilities }: Pick<Broker, 'name' | 'capabilities'>,
): readonly UnmetNeed[] {
  const needs: UnmetNeed[] = [];
  if (DURABILITIES.indexOf(durability) > DURABILITIES.indexOf(capabilities.durability)) {
    const problem = `is "${durability}", but the ${name} broker promises "${capabilities.durability}".`;
    needs.push({
      option: 'durability',
      problem,
      remedy: 'Use a broker that promises more, or ask for less.',
    });
  }
  const remedy = 'Leave it out, or use another broker.';
  if (log.dedupeMs > 0 && !capabilities.dedupes)
    needs.push({ option: 'dedupe', problem: `is set, but the ${name} broker does not dedupe.`, remedy });
  if (presence !== false && !capabilities.presence)
    needs.push({ option: 'presence', problem: `is set, but the ${name} broker keeps none.`, remedy });
  return needs;
}
