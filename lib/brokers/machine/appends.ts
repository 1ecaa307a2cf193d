import type { AppendOutcome, AppendRequest } from '../../core/ports/broker.js';
import type { Position } from '../../protocol/position.js';
import { channelBytes, type MachineChannel } from './channel.js';
import type { Channels } from './channels.js';
import type { Moment } from './commands.js';
import { FULL } from './full.js';
import { idKey, type IdMemory } from './ids.js';
import type { Losses } from './losses.js';

const CONFLICT: AppendOutcome = { ok: false, code: 'conflict' };
const OUT_OF_ORDER: AppendOutcome = { ok: false, code: 'out_of_order' };
const TOO_MANY_IDS = 'Too many of your publishes are still remembered for their retries; try again later';

/** Appends to the logs of a machine: looks for duplicates, makes room, numbers, and remembers the id. */
export class Appends {
  constructor(
    private readonly channels: Channels,
    private readonly ids: IdMemory<MachineChannel>,
    private readonly losses: Losses,
  ) {}

  /**
   * @param ts of the record: a parameter, as a whole batch has one.
   * @param index of the request in its batch.
   */
  append(request: AppendRequest, ts: number, at: Moment, index: number): AppendOutcome {
    const { channels, ids } = this;
    const { channel: name, policy, fingerprint, after } = request;
    const { dedupeMs } = policy;
    const known = channels.find(name);
    const remembers = dedupeMs > 0;
    // Many channels remember no ids at all, and need no key.
    const knows = known !== undefined && known.ids.size > 0;
    const key = knows || remembers ? idKey(request.producer, request.event.id) : '';
    if (knows) {
      const first = known.ids.find(key);
      if (first !== undefined) {
        return first.fingerprint === fingerprint
          ? { ok: true, position: { epoch: first.epoch, seq: first.seq }, duplicate: true }
          : CONFLICT;
      }
    }
    if (after !== undefined && known?.ids.find(idKey(request.producer, after)) === undefined)
      return OUT_OF_ORDER;

    let reserved = known === undefined ? channelBytes(name) : 0;
    const producer = remembers ? ids.producer(request.producer) : undefined;
    if (producer !== undefined) {
      const cost = ids.cost(producer, key, fingerprint, dedupeMs);
      if (!ids.admits(producer, cost)) {
        this.losses.refusals += 1;
        const retryAfterMs = ids.retryAfter(producer, at.now);
        return { ok: false, code: 'rate_limited', retryAfterMs, message: TOO_MANY_IDS };
      }
      reserved += cost;
    }
    if (reserved > 0 && !channels.reserve(reserved, known)) return FULL;

    const channel = known ?? channels.open(name);
    const event = channel.log.append(request, ts, at, index);
    const position: Position = { epoch: event.epoch, seq: event.seq };
    if (producer !== undefined) {
      ids.remember(channel.ids, key, producer, fingerprint, position, at.now, dedupeMs);
    }
    channels.appended(channel);
    channel.feed?.onAppended(event);
    return { ok: true, position, duplicate: false };
  }
}
