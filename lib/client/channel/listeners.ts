import type { PresenceMember } from '../../protocol/messages.js';
import { MAX_EVENT_LENGTH } from '../../protocol/envelope.js';
import { Emitter, type AnyListener, type Off } from '../emitter.js';
import {
  LIBRARY_EVENTS,
  type ChannelEvent,
  type ChannelEventMap,
  type ChannelSignal,
  type LibraryEvent,
} from './types.js';

/** The name under which every application event, or every signal, is emitted. */
const EVERY = '*';

/** Warnings of one channel. The names in them are the server's. */
const MAX_WARNINGS = 100;

const reserved: ReadonlySet<string> = new Set(LIBRARY_EVENTS);

/** Whose names these are: an application event named `gap` cannot be taken for the library's. */
export type NameSpace = 'library' | 'event' | 'signal' | 'presence';

/** The listeners of a channel, in one name space per kind of event. */
export class ChannelListeners {
  private readonly emitter: Emitter<Record<string, readonly unknown[]>>;
  /** What was warned of: once each, and no more than a page of them. */
  private readonly warned = new Set<string>();

  constructor(
    onError: (error: unknown, name: string) => void,
    private readonly onChange: () => void,
    private readonly warn: (message: string) => void,
  ) {
    this.emitter = new Emitter((error, key) => onError(error, key.slice(key.indexOf(':') + 1)));
  }

  get size(): number {
    return this.emitter.size;
  }

  /** A reserved name is the library's, any other the application's. */
  on(name: string, listener: AnyListener, isOnce?: boolean): Off {
    const near = String(name).trim().toLowerCase();
    if (near !== name && reserved.has(near)) this.warnOnce(`is "${near}" meant by "${name}"?`);
    return this.add(reserved.has(name) ? 'library' : 'event', name, listener, isOnce);
  }

  /** Removes a listener, or all of the name, from the given name spaces. */
  off(name: string, listener: AnyListener | undefined, spaces: readonly NameSpace[]): void {
    for (const space of spaces) this.emitter.off(`${space}:${name}`, listener);
    this.onChange();
  }

  add(space: NameSpace, name: string, listener: AnyListener, isOnce = false): Off {
    const length = typeof name === 'string' ? name.length : 0;
    if (length === 0 || length > MAX_EVENT_LENGTH)
      this.warnOnce(`"${String(name)}" is no event: use 1 to ${MAX_EVENT_LENGTH} characters`);
    const off = this.emitter[isOnce ? 'once' : 'on'](`${space}:${name}`, listener);
    this.onChange();
    return () => {
      off();
      this.onChange();
    };
  }

  library<Name extends LibraryEvent>(name: Name, ...args: ChannelEventMap[Name]): void {
    const isHeard = this.emitter.emit(`library:${name}`, ...args);
    if (!isHeard && (name === 'gap' || name === 'lost') && !this.emitter.has('library:recovered'))
      this.warnOnce(`nobody listens to "${name}" or "recovered"`);
  }

  event(event: ChannelEvent): void {
    if (!this.named('event', event)) this.warnOnce(`nobody listens to the event "${event.event}"`);
  }

  signal(signal: ChannelSignal): void {
    const isHeard = this.named('signal', signal);
    if (!isHeard && !this.emitter.has('library:signal'))
      this.warnOnce(`nobody listens to the signal "${signal.event}" (onSignal)`);
    this.library('signal', signal);
  }

  members(members: readonly PresenceMember[]): void {
    this.emitter.emit('presence:change', members);
  }

  /** @returns whether anybody listens to what single members do. */
  get watchesMembers(): boolean {
    return ['join', 'update', 'leave'].some((name) => this.emitter.has(`presence:${name}`));
  }

  member(name: 'join' | 'update' | 'leave', member: PresenceMember): void {
    this.emitter.emit(`presence:${name}`, member);
  }

  /** @returns whether anybody listens. */
  private named(space: NameSpace, message: ChannelEvent | ChannelSignal): boolean {
    const { event, payload } = message;
    const isHeard = event !== EVERY && this.emitter.emit(`${space}:${event}`, payload, message);
    return this.emitter.emit(`${space}:${EVERY}`, payload, message) || isHeard;
  }

  private warnOnce(message: string): void {
    if (this.warned.has(message) || this.warned.size >= MAX_WARNINGS) return;
    this.warned.add(message);
    this.warn(message);
  }
}
