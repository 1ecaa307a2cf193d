import type { SignalCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { AccessGuard } from '../access/access-guard.js';
import type { Hub } from '../hub/hub.js';
import { contentOf, sizeOf } from '../log/event-content.js';
import type { BrokerLog } from '../ports/broker.js';
import type { EngineSettings } from '../ports/settings.js';
import type { Session } from '../session/session.js';
import type { Authorizer } from './authorization.js';
import { handlerCall } from './handler-call.js';

/** Sends an ephemeral message to a channel: never stored, never numbered. Only declared events, only by subscribers (G10). */
export class Signal {
  constructor(
    private readonly authorizer: Authorizer,
    private readonly access: Pick<AccessGuard, 'requireVoice'>,
    private readonly log: Pick<BrokerLog, 'signal'>,
    private readonly hub: Pick<Hub, 'find'>,
    private readonly settings: Pick<EngineSettings, 'limits'>,
  ) {}

  async run(session: Session, command: SignalCommand): Promise<void> {
    const { id, event, payload } = command;
    const match = this.authorizer.resolve(session, command.channel);
    if (!match.definition.behaviour.signals.has(event)) {
      throw new RealtimeError('forbidden', `Clients may not signal "${event}" here`);
    }
    this.access.requireVoice(session, match.channel);
    const call = handlerCall(session, match, command);
    const requireStillAllowed = await this.authorizer.authorizeSubscriber(session, match, 'signal', call);
    requireStillAllowed();
    this.access.requireVoice(session, match.channel);
    const { value, json } = contentOf(payload);
    const user = session.userId;
    sizeOf({ event, user }, json, '', this.settings.limits.maxEventBytes);
    session.chargeDeliveries(this.hub.find(match.channel)?.subscriptions.size ?? 0);
    await this.log.signal(match.channel, { event, payload: value, user });
    if (!session.isClosed) session.reply(id, {});
  }
}
