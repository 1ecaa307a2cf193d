import type { EraseResult } from '../../core/ports/broker.js';
import { tombstoneOf, type EraseRequest } from '../../core/ports/erasure.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { RedisCommands } from './connection/commands.js';
import type { RedisKeys } from './keys.js';
import { ERASE } from './scripts/erase.js';
import type { RedisSettings } from './settings.js';
import { encodeBody } from './wire.js';

/** Erases events of the logs, as durably as appends are. */
export class RedisErasures {
  /** @param writer the connection of the appends: its replicas are asked. */
  constructor(
    private readonly writer: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
  ) {}

  async erase({ channel, seqs }: EraseRequest): Promise<EraseResult> {
    const { epochs, headMs, replicated } = this.settings;
    const { keys, writer } = this;
    const partition = keys.partitionOf(channel);
    const reply = (await writer.run(
      ERASE,
      partition,
      [keys.head(channel), keys.stream(channel), keys.origin(channel)],
      [
        epochs.next(),
        headMs,
        replicated === undefined ? 0 : 1,
        ...seqs.flatMap((seq) => [seq, encodeBody(tombstoneOf(seq))]),
      ],
    )) as readonly (string | number)[];
    // A copy that lacks it would bring the events back once it is the server.
    if (replicated !== undefined && (await writer.waitForReplicas(partition)) < replicated.replicas)
      throw new RealtimeError(
        'timeout',
        'Too few replicas confirmed in time that the events are erased; erase them again',
      );
    const [epoch, seq, ...kept] = reply;
    return { tip: { epoch: String(epoch), seq: Number(seq) }, seqs: kept.map(Number) };
  }
}
