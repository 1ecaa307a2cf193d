import { RealtimeError } from '../../protocol/realtime-error.js';
import type { BanList } from '../access/ban-list.js';
import type { Revocations } from '../access/revocations.js';
import { ChannelSet } from '../channel/channel-set.js';
import type { Reauthorization } from '../commands/reauthorization.js';
import type { Unsubscribe } from '../commands/unsubscribe.js';
import type { Clock } from '../ports/clock.js';
import type { AbuseRecord, ControlMessage, DisconnectRecord } from '../ports/control.js';
import type { MaybePromise } from '../ports/maybe-promise.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { EraseApplier } from './erase-applier.js';
import { inTurns } from './cluster/in-turns.js';
import type { RestrictionApplier } from './restriction-applier.js';
import type { LocalSessions } from './cluster/local-sessions.js';

export interface ControlApplierDeps {
  readonly sessions: SessionRegistry;
  readonly localSessions: Pick<LocalSessions, 'each'>;
  readonly restrictions: Pick<RestrictionApplier, 'put' | 'lift'>;
  readonly bans: BanList;
  readonly addressBans: BanList;
  readonly revocations: Revocations;
  readonly unsubscribe: Unsubscribe;
  readonly reauthorization: Reauthorization;
  readonly clock: Clock;
  readonly eraser: EraseApplier;
}

/** Applies control records on this node. */
export class ControlApplier {
  constructor(private readonly deps: ControlApplierDeps) {}

  /**
   * When it returns, or its promise resolves, the record is in force on this node (G11).
   *
   * @throws RangeError for a pattern that this version does not understand.
   */
  apply(message: ControlMessage): MaybePromise<void> {
    const { sessions, restrictions, reauthorization } = this.deps;
    switch (message.kind) {
      case 'disconnect':
        for (const session of sessions.ofUser(message.user)) session.close('kicked');
        return;
      case 'disconnect_sessions':
        return this.disconnectSessions(message);
      case 'revoke':
        return this.revoke(message.user, ChannelSet.only(message.channel));
      case 'revoke_pattern':
        return this.revoke(message.user, ChannelSet.parse(message.pattern));
      case 'reauthorize':
        return reauthorization.reauthorizeMatching(message.user, ChannelSet.parse(message.channel));
      case 'ban': {
        const { user, reason, forMs, by } = message;
        return restrictions.put({ act: 'ban', whom: { of: 'user', id: user }, forMs, reason, by });
      }
      case 'erase':
        return this.deps.eraser.apply(message);
      case 'unban':
        return restrictions.lift({ act: 'ban', whom: { of: 'user', id: message.user } });
      case 'restrict': {
        const { kind: _kind, ...restriction } = message;
        return restrictions.put(restriction);
      }
      case 'lift':
        return restrictions.lift(message);
      case 'abuse':
        return this.refuse(message);
      case 'supersede': {
        const session = sessions.ofLineage(message.lineage);
        if (session !== undefined && session.generation < message.generation) session.close('superseded');
        return;
      }
      default:
        // Of a newer version of the library, on another node. The receipt of its sender names this node as one where it has no effect.
        throw new Error(
          `Control records of the kind ${JSON.stringify((message satisfies never as ControlMessage).kind)} ` +
            'are unknown to this node: update its nestjs-realtime',
        );
    }
  }

  /** In turns: a channel may have every session of the node. */
  private async disconnectSessions({ of, id }: DisconnectRecord): Promise<void> {
    const { localSessions, sessions, clock } = this.deps;
    if (of === 'session') return sessions.find(id)?.close('kicked');
    if (of !== 'channel' && of !== 'address')
      throw new Error(
        `Sessions of a ${JSON.stringify(of satisfies never)} are unknown to this node: update its nestjs-realtime`,
      );
    const found: Session[] = [];
    await localSessions.each({ [of]: id }, (session) => void found.push(session));
    await inTurns(found, clock, (session) => session.close('kicked'));
  }

  private refuse({ of, id, forMs }: AbuseRecord): void {
    if (forMs <= 0) return;
    const { sessions, bans, addressBans, revocations, clock } = this.deps;
    const now = clock.monotonic();
    const ban = { until: now + forMs, reason: 'rate_abuse' };
    if (of === 'user') {
      bans.extend(id, ban, now);
      revocations.record(id, ChannelSet.ALL);
    } else addressBans.extend(id, ban, now);
    for (const session of of === 'user' ? sessions.ofUser(id) : sessions.anonymousOf(id))
      session.close('banned', forMs);
  }

  private revoke(user: string, channels: ChannelSet): void {
    const { sessions, revocations, unsubscribe } = this.deps;
    // Recorded first: a subscribe or publish that is under way checks it at its commit.
    revocations.record(user, channels);
    const error = new RealtimeError('forbidden', 'Access was revoked');
    for (const session of sessions.ofUser(user)) unsubscribe.endIn(session, channels, error);
  }
}
