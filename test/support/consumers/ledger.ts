import type { ConsumedEvent, ConsumerSite, PreparedPublish } from '../../../lib/core/ports/consumers.js';
import type { PublishResult } from '../../../lib/protocol/messages.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import type { NodeLife } from './node-life.js';

/** An event that was appended. */
export interface Entry {
  readonly id: string;
  readonly payload: unknown;
}

/** What becomes of an attempt: it fails before it is appended, or after. */
export interface Fault {
  readonly when: 'before' | 'after';
  readonly error: RealtimeError;
}

/** Logs of channels as a broker keeps them: an id once, with one content, and only behind the one that it names. */
export class Ledger {
  readonly channels = new Map<string, Entry[]>();
  /** Asked for each attempt. */
  fault: (event: ConsumedEvent & { readonly id: string }) => Fault | undefined = () => undefined;
  /** Attempts to append, in their order. */
  readonly attempts: string[] = [];

  prepareFor(life: NodeLife): ConsumerSite['prepare'] {
    return (event) => this.prepare(event, life);
  }

  /** Of all events of a channel, their payloads. */
  of(channel: string): readonly unknown[] {
    return (this.channels.get(channel) ?? []).map(({ payload }) => payload);
  }

  private prepare(event: ConsumedEvent & { readonly id: string }, life: NodeLife): PreparedPublish {
    const { channel, id } = event;
    if (channel.startsWith('unknown')) throw new RealtimeError('unknown_channel');
    return {
      channel,
      id,
      bytes: 1,
      send: async (after) => {
        await life.step('before append');
        this.attempts.push(id);
        const fault = this.fault(event);
        if (fault?.when === 'before') throw fault.error;
        const result = this.append(event, after);
        if (fault !== undefined) throw fault.error;
        await life.step('after append');
        return result;
      },
    };
  }

  private append(event: ConsumedEvent & { readonly id: string }, after: string | undefined): PublishResult {
    const log = this.channels.get(event.channel) ?? [];
    this.channels.set(event.channel, log);
    const known = log.findIndex(({ id }) => id === event.id);
    if (known >= 0) {
      if (log[known]?.payload !== event.payload) throw new RealtimeError('conflict');
      return { epoch: 'e', seq: known + 1, duplicate: true };
    }
    if (after !== undefined && !log.some(({ id }) => id === after)) throw new RealtimeError('out_of_order');
    log.push({ id: event.id, payload: event.payload });
    return { epoch: 'e', seq: log.length, duplicate: false };
  }
}
