/** What is told to listeners, by name: the arguments of each. */
export type Happenings = Record<string, readonly unknown[]>;

/** A listener. What it returns is ignored, but a rejected promise is reported like a thrown error. */
export type Listener<Args extends readonly unknown[]> = (...args: Args) => unknown;

/** Takes a listener off again; calling it twice does no harm. */
export type Off = () => void;

/**
 * Listeners by name. One that throws does not keep the others from being told: what it threw goes to `failed`.
 * Whoever is added or taken off during an emission counts from the next one on.
 */
export class Emitter<Map_ extends Happenings> {
  private readonly lists = new Map<keyof Map_, readonly Listener<readonly unknown[]>[]>();

  constructor(private readonly failed: (error: unknown, name: keyof Map_) => void) {}

  /** Number of listeners over all names. */
  get size(): number {
    let total = 0;
    for (const list of this.lists.values()) total += list.length;
    return total;
  }

  has(name: keyof Map_): boolean {
    return this.lists.has(name);
  }

  on<Name extends keyof Map_>(name: Name, listener: Listener<Map_[Name]>): Off {
    const added = listener as unknown as Listener<readonly unknown[]>;
    this.lists.set(name, [...(this.lists.get(name) ?? []), added]);
    let listening = true;
    return () => {
      if (listening) this.off(name, listener);
      listening = false;
    };
  }

  off(name: keyof Map_, listener: (...args: never[]) => unknown): void {
    const list = this.lists.get(name) ?? [];
    const index = list.indexOf(listener as Listener<readonly unknown[]>);
    if (index === -1) return;
    if (list.length === 1) this.lists.delete(name);
    else this.lists.set(name, [...list.slice(0, index), ...list.slice(index + 1)]);
  }

  emit<Name extends keyof Map_>(name: Name, ...args: Map_[Name]): void {
    for (const listener of this.lists.get(name) ?? []) {
      try {
        const returned = listener(...args);
        if (isThenable(returned)) returned.then(undefined, (error: unknown) => this.failed(error, name));
      } catch (error) {
        this.failed(error, name);
      }
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
