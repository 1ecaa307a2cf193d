import type { ClientCommand, ClientCommandType } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { DrainSwitch } from '../access/drain-switch.js';
import type { OverloadSwitch } from '../access/overload-switch.js';
import type { Clock } from '../ports/clock.js';
import type { MaybePromise } from '../ports/maybe-promise.js';
import type { SheddingStep } from '../ports/overload.js';
import type { Session } from '../session/session.js';
import type { Auth } from './auth.js';
import type { CurrentState } from './current-state.js';
import type { History } from './history.js';
import type { Presence } from './presence.js';
import type { Publish } from './publish.js';
import type { Request } from './request.js';
import type { Signal } from './signal.js';
import type { Subscribe } from './subscribe.js';
import type { Unsubscribe } from './unsubscribe.js';

const CALLS_APPLICATION: ReadonlySet<ClientCommandType> = new Set([
  'subscribe',
  'publish',
  'signal',
  'request',
  'history',
  'presence',
  'snapshot',
]);

/** The step at which an overloaded node refuses a command (P34). All others it serves: a publish, and what keeps a session alive. */
const PAUSED_BY: Partial<Record<ClientCommandType, SheddingStep>> = {
  history: 'history',
  presence: 'presence',
  presence_update: 'presence',
  signal: 'presence',
};

/** What runs each command of a live session. */
export interface Commands {
  readonly auth: Auth;
  readonly currentState: CurrentState;
  readonly history: History;
  readonly presence: Presence;
  readonly publish: Publish;
  readonly request: Request;
  readonly signal: Signal;
  readonly subscribe: Subscribe;
  readonly unsubscribe: Unsubscribe;
}

/** Runs one command of a live session. It answers itself, or throws what becomes the `error` answer (P7). */
export class CommandRouter {
  constructor(
    private readonly commands: Commands,
    private readonly drain: DrainSwitch,
    private readonly clock: Clock,
    private readonly overload: Pick<OverloadSwitch, 'steps' | 'require'>,
  ) {}

  run(session: Session, command: ClientCommand): MaybePromise<void> {
    if (this.drain.isDraining && CALLS_APPLICATION.has(command.type)) {
      // What the application's handlers need may be closed already; another node takes the command.
      throw new RealtimeError('unavailable', 'This node is going away');
    }
    if (this.overload.steps > 0) {
      const step = PAUSED_BY[command.type];
      if (step !== undefined) this.overload.require(step);
    }
    const { commands } = this;
    switch (command.type) {
      case 'publish':
        return commands.publish.run(session, command);
      case 'request':
        return commands.request.run(session, command);
      case 'signal':
        return commands.signal.run(session, command);
      case 'subscribe':
        return commands.subscribe.run(session, command);
      case 'unsubscribe':
        return commands.unsubscribe.run(session, command);
      case 'history':
        return commands.history.run(session, command);
      case 'snapshot':
        return commands.currentState.run(session, command);
      case 'presence':
        return commands.presence.list(session, command);
      case 'presence_update':
        return commands.presence.update(session, command);
      case 'auth':
        return commands.auth.run(session, command);
      case 'ping':
        session.outbox.pushControl({ type: 'pong', ref: command.id, ts: this.clock.now() });
        return undefined;
      case 'pong':
        return undefined;
      case 'bye':
        return session.close('normal');
      case 'hello':
        throw new RealtimeError('bad_request', 'This connection has been greeted already');
    }
  }
}
