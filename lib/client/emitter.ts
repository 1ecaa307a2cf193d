/** The arguments of each event, by the event's name. */
export type EventMap = Record<string, readonly unknown[]>;

/** A listener. What it returns is ignored, but a rejected promise is reported like a thrown error. */
export type Listener<Args extends readonly unknown[]> = (...args: Args) => unknown;

/** Any listener, whatever its arguments. */
export type AnyListener = (...args: never[]) => unknown;

/** Removes the listener. A second call has no effect. */
export type Off = () => void;

/**
 * Listeners by the name of their event. One that throws does not keep the others from being called: `onError` gets what
 * it threw. A listener that is added or removed during an emission counts from the next one on.
 */
export class Emitter<Events extends EventMap> {
  private readonly lists = new Map<keyof Events, readonly AnyListener[]>();

  constructor(private readonly onError: (error: unknown, name: keyof Events) => void) {}

  /** Number of listeners over all names. */
  get size(): number {
    let total = 0;
    for (const list of this.lists.values()) total += list.length;
    return total;
  }

  has(name: keyof Events): boolean {
    return this.lists.has(name);
  }

  on(name: keyof Events, listener: AnyListener): Off {
    this.lists.set(name, [...(this.lists.get(name) ?? []), listener]);
    let listening = true;
    return () => {
      if (listening) this.off(name, listener);
      listening = false;
    };
  }

  /** Adds a listener that is called once. */
  once(name: keyof Events, listener: AnyListener): Off {
    const off = this.on(
      name,
      Object.assign(
        (...args: never[]) => {
          off();
          return listener(...args);
        },
        { of: listener },
      ),
    );
    return off;
  }

  /** Removes a listener, or all of the name. */
  off(name: keyof Events, listener?: AnyListener): void {
    const list: readonly (AnyListener & { readonly of?: AnyListener })[] = this.lists.get(name) ?? [];
    if (listener === undefined) {
      this.lists.delete(name);
      return;
    }
    const index = list.findIndex((one) => one === listener || one.of === listener);
    if (index === -1) return;
    if (list.length === 1) this.lists.delete(name);
    else this.lists.set(name, [...list.slice(0, index), ...list.slice(index + 1)]);
  }

  /** @returns whether anybody listens. */
  emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): boolean {
    const list = this.lists.get(name);
    if (list === undefined) return false;
    for (const listener of list) {
      try {
        const returned = (listener as Listener<Events[Name]>)(...args);
        if (isThenable(returned)) returned.then(undefined, (error: unknown) => this.onError(error, name));
      } catch (error) {
        this.onError(error, name);
      }
    }
    return true;
  }
}

export function isThenable<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
