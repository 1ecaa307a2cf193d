/** Whether this node is draining. From then on it does not call the application's code (G18). */
export class DrainSwitch {
  private on = false;

  get isDraining(): boolean {
    return this.on;
  }

  /** Cannot be undone. Idempotent. */
  begin(): void {
    this.on = true;
  }
}
