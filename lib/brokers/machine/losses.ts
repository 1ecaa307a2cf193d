/** What a machine dropped and refused for lack of room since it was made. Counts for the operator, and no part of the state. */
export class Losses {
  /** Channels that were forgotten as a whole, with their events. */
  channels = 0;
  /** Events of other channels that were dropped before their time. */
  events = 0;
  /** Appends, pins, members and holders that were refused. */
  refusals = 0;

  get sum(): number {
    return this.channels + this.events + this.refusals;
  }
}
