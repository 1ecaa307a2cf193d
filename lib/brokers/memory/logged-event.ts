import { ChannelEvent, type ChannelEventFields } from '../../core/ports/channel-event.js';

/** An event with what its log needs to know of it. One object, as a log of small events is mostly objects. */
export class LoggedEvent extends ChannelEvent {
  /**
   * @param appendedAt When it was appended, in the store's milliseconds: `ts` is for people, and jumps with their clock.
   * @param appendBytes Bytes that it counts in its log, as its append gave them.
   * @param weight Bytes that it is charged to the store.
   */
  constructor(
    fields: ChannelEventFields,
    readonly appendedAt: number,
    readonly appendBytes: number,
    readonly weight: number,
  ) {
    super(fields, appendBytes);
  }
}
