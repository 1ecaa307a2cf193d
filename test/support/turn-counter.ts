/** Counts the turns of the event loop from its making until it is stopped. */
export class TurnCounter {
  turn = 0;
  private isCounting = true;
  private readonly count = (): void => {
    this.turn++;
    if (this.isCounting) setImmediate(this.count);
  };

  constructor() {
    this.count();
  }

  stop(): void {
    this.isCounting = false;
  }
}
