import type { Losses } from '../machine/losses.js';
import type { MemoryStoreSettings } from './options.js';

/** At most one message in so many milliseconds. */
const QUIET_MS = 60_000;

/** Says from time to time what a store dropped and refused for lack of room. */
export class Pressure {
  private said = { channels: 0, events: 0, refusals: 0 };
  private quietUntil = -Infinity;
  /** Of the losses that were last looked at. */
  private seen = 0;

  constructor(private readonly losses: Losses) {}

  /** Whether anything was lost since the last call: then a report may be due. */
  get isNew(): boolean {
    const { sum } = this.losses;
    if (sum === this.seen) return false;
    this.seen = sum;
    return true;
  }

  /** @returns What to tell the operator, if anything is new and the last message is long enough ago. */
  report(now: number, { maxBytes, maxIdBytes, maxIdleChannels }: MemoryStoreSettings): string | undefined {
    const { said } = this;
    const { channels, events, refusals } = this.losses;
    const news = [
      part(channels - said.channels, 'channel(s) forgotten'),
      part(events - said.events, 'event(s) of other channels dropped'),
      part(refusals - said.refusals, 'append(s), subscribe(s) or member(s) refused'),
    ].filter((text) => text !== '');
    if (news.length === 0 || now < this.quietUntil) return undefined;
    this.said = { channels, events, refusals };
    this.quietUntil = now + QUIET_MS;
    return (
      `memoryBroker reached a bound (maxBytes ${maxBytes}, maxIdBytes ${maxIdBytes}, maxIdleChannels ${maxIdleChannels}): ` +
      `${news.join(', ')}. ` +
      'Clients that come back to a forgotten log are told that it is lost. ' +
      'Raise the bounds of memoryBroker(), shorten `history` or `dedupe` of the channels, or move to Redis.'
    );
  }
}

function part(count: number, what: string): string {
  return count === 0 ? '' : `${count} ${what}`;
}
