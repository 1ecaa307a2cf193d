/** The life of a node: it counts its steps, and is killed before one of them, after which nothing of it runs any more. */
export class NodeLife {
  readonly steps: string[] = [];

  /** @param endsAt number of the step before which it is killed; default: never. */
  constructor(private readonly endsAt = Number.POSITIVE_INFINITY) {}

  get isKilled(): boolean {
    return this.steps.length > this.endsAt;
  }

  /** Resolves at once; never, for a node that was killed. */
  step(name: string): Promise<void> {
    this.steps.push(name);
    return this.isKilled ? new Promise(() => undefined) : Promise.resolve();
  }
}
