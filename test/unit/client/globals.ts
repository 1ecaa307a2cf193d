/** Property descriptors by the global's name. */
export type Globals = Record<string, PropertyDescriptor>;

const given = new Map<string, PropertyDescriptor | undefined>();

/** Gives this process the globals of another platform, until {@link restoreGlobals}. */
export function setGlobals(globals: Globals): void {
  for (const [name, descriptor] of Object.entries(globals)) {
    if (!given.has(name)) given.set(name, Object.getOwnPropertyDescriptor(globalThis, name));
    Object.defineProperty(globalThis, name, { ...descriptor, configurable: true });
  }
}

export function restoreGlobals(): void {
  for (const [name, descriptor] of given) {
    if (descriptor === undefined) Reflect.deleteProperty(globalThis, name);
    else Object.defineProperty(globalThis, name, descriptor);
  }
  given.clear();
}

/** A global that has this value. */
export const is = (value: unknown): PropertyDescriptor => ({ value, writable: true });

/** A global that is not there. */
export const missing: PropertyDescriptor = is(undefined);
