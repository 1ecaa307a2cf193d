import type { PresenceMember } from '../../protocol/messages.js';
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

const reserved: ReadonlySet<string> = new Set(LIBRARY_EVENTS);

/** Whose names these are: an application event named `gap` cannot be taken for the library's. */
export type NameSpace = 'library' | 'event' | 'signal' | 'presence';

/** The listeners of a channel, in one name space per kind of event. */
export class ChannelListeners {
  private readonly emitter: Emitter<Record<string, readonly unknown[]>>;

  constructor(
    onError: (error: unknown, name: string) => void,
    private readonly onChange: () => void,
  ) {
    this.emitter = new Emitter((error, key) => onError(error, key.slice(key.indexOf(':') + 1)));
  }

  get size(): number {
    return this.emitter.size;
  }

  /** A reserved name is the library's, any other the application's. */
  on(name: string, listener: AnyListener): Off {
    return this.add(reserved.has(name) ? 'library' : 'event', name, listener);
  }

  /** Removes a listener from the given name spaces. */
  off(name: string, listener: AnyListener, spaces: readonly NameSpace[]): void {
    for (const space of spaces) this.emitter.off(`${space}:${name}`, listener);
    this.onChange();
  }

  add(space: NameSpace, name: string, listener: AnyListener): Off {
    const off = this.emitter.on(`${space}:${name}`, listener);
    this.onChange();
    return () => {
      off();
      this.onChange();
    };
  }

  library<Name extends LibraryEvent>(name: Name, ...args: ChannelEventMap[Name]): void {
    this.emitter.emit(`library:${name}`, ...args);
  }

  event(event: ChannelEvent): void {
    this.named('event', event);
  }

  signal(signal: ChannelSignal): void {
    this.named('signal', signal);
    this.library('signal', signal);
  }

  members(members: readonly PresenceMember[]): void {
    this.emitter.emit('presence:change', members);
  }

  private named(space: NameSpace, message: ChannelEvent | ChannelSignal): void {
    if (message.event !== EVERY) this.emitter.emit(`${space}:${message.event}`, message.payload, message);
    this.emitter.emit(`${space}:${EVERY}`, message.payload, message);
  }
}
