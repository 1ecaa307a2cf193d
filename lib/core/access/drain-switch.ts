/** Whether this node is going away. From then on the application's code is not called any more (G18). */
export class DrainSwitch {
  private on = false;

  get isDraining(): boolean {
    return this.on;
  }

  /** For good. Idempotent. */
  begin(): void {
    this.on = true;
  }
}
