import { Emitter, type Listener, type Off } from '../emitter.js';
import type { PresenceMember } from '../../protocol/messages.js';
import {
  CHANNEL_HAPPENINGS,
  type ChannelEvent,
  type ChannelHappening,
  type ChannelHappenings,
  type ChannelSignal,
} from './types.js';

/** The name under which every application event, or every signal, is told. */
export const EVERY = '*';

type AnyListener = (...args: never[]) => unknown;

const reserved: ReadonlySet<string> = new Set(CHANNEL_HAPPENINGS);

/** Who listens on a channel: three name spaces, so that an application event cannot be taken for a happening. */
export class ChannelListeners {
  private readonly happenings: Emitter<ChannelHappenings>;
  private readonly events: Emitter<Record<string, [payload: unknown, event: ChannelEvent]>>;
  private readonly signals: Emitter<Record<string, [payload: unknown, signal: ChannelSignal]>>;
  private readonly presence: Emitter<{ change: [members: readonly PresenceMember[]] }>;

  constructor(
    failed: (error: unknown, name: string) => void,
    private readonly changed: () => void,
  ) {
    this.happenings = new Emitter(failed);
    this.events = new Emitter(failed);
    this.signals = new Emitter(failed);
    this.presence = new Emitter(failed);
  }

  get size(): number {
    return this.happenings.size + this.events.size + this.signals.size + this.presence.size;
  }

  /** A reserved name is the library's, any other the application's. */
  on(name: string, listener: AnyListener): Off {
    return isHappening(name) ? this.add(this.happenings, name, listener) : this.onEvent(name, listener);
  }

  off(name: string, listener: AnyListener): void {
    if (isHappening(name)) this.happenings.off(name, listener);
    this.events.off(name, listener);
    this.signals.off(name, listener);
    this.changed();
  }

  onEvent(name: string, listener: AnyListener): Off {
    return this.add(this.events, name, listener);
  }

  onSignal(name: string, listener: AnyListener): Off {
    return this.add(this.signals, name, listener);
  }

  onPresence(listener: (members: readonly PresenceMember[]) => unknown): Off {
    return this.add(this.presence, 'change', listener);
  }

  offPresence(listener: (members: readonly PresenceMember[]) => unknown): void {
    this.presence.off('change', listener);
    this.changed();
  }

  tell<Name extends ChannelHappening>(name: Name, ...args: ChannelHappenings[Name]): void {
    this.happenings.emit(name, ...args);
  }

  event(event: ChannelEvent): void {
    if (event.event !== EVERY) this.events.emit(event.event, event.payload, event);
    this.events.emit(EVERY, event.payload, event);
  }

  signal(signal: ChannelSignal): void {
    if (signal.event !== EVERY) this.signals.emit(signal.event, signal.payload, signal);
    this.signals.emit(EVERY, signal.payload, signal);
    this.happenings.emit('signal', signal);
  }

  members(members: readonly PresenceMember[]): void {
    this.presence.emit('change', members);
  }

  private add<Map_ extends Record<string, readonly unknown[]>>(
    emitter: Emitter<Map_>,
    name: keyof Map_,
    listener: AnyListener,
  ): Off {
    const off = emitter.on(name, listener as Listener<Map_[keyof Map_]>);
    this.changed();
    return () => {
      off();
      this.changed();
    };
  }
}

function isHappening(name: string): name is ChannelHappening {
  return reserved.has(name);
}
