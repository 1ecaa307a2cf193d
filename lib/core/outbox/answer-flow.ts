import type { ChannelDefinition } from '../ports/channel-definition.js';
import type { Flow } from './entry.js';

/**
 * An answer about a channel that is not dropped with a subscription: there is none, or the answer is its client's after it too. A
 * revoke withdraws it nevertheless, and it waits while a revoke may be in force that is not known (G11).
 */
export class AnswerFlow implements Flow {
  /** No event of a log is in it. */
  readonly epoch = '';

  constructor(
    readonly name: string,
    readonly definition: ChannelDefinition,
    private readonly access: { isFrozen(definition: ChannelDefinition): boolean },
  ) {}

  get isFrozen(): boolean {
    return this.access.isFrozen(this.definition);
  }
}
