import type { Session } from './session.js';

/** The live sessions of this node, found by what commands and records name. */
export class SessionRegistry {
  private readonly all = new Set<Session>();
  private readonly users = new Map<string, Set<Session>>();
  private readonly lineages = new Map<string, Session>();
  private readonly addresses = new Map<string, number>();

  /** Connections, from the upgrade on. */
  get size(): number {
    return this.all.size;
  }

  connectionsOf(ip: string): number {
    return this.addresses.get(ip) ?? 0;
  }

  add(session: Session): void {
    this.all.add(session);
    const { ip } = session.connection.handshake;
    this.addresses.set(ip, this.connectionsOf(ip) + 1);
  }

  /** Called as soon as the lineage is known: from then on a newer generation finds it. */
  adopt(session: Session): void {
    this.lineages.set(session.lineage, session);
  }

  /** Called as soon as the user is known: a ban must also end whoever still waits for `welcome`. */
  identify(session: Session): void {
    const id = session.user?.id;
    if (id === undefined) return;
    const sessions = this.users.get(id) ?? new Set();
    sessions.add(session);
    this.users.set(id, sessions);
  }

  remove(session: Session): void {
    if (!this.all.delete(session)) return;
    const { ip } = session.connection.handshake;
    const connections = this.connectionsOf(ip) - 1;
    if (connections > 0) this.addresses.set(ip, connections);
    else this.addresses.delete(ip);
    // A newer generation may have taken the place of this one already.
    if (this.lineages.get(session.lineage) === session) this.lineages.delete(session.lineage);
    const id = session.user?.id;
    if (id === undefined) return;
    const sessions = this.users.get(id);
    sessions?.delete(session);
    if (sessions?.size === 0) this.users.delete(id);
  }

  ofUser(user: string): readonly Session[] {
    return [...(this.users.get(user) ?? [])];
  }

  ofLineage(lineage: string): Session | undefined {
    return this.lineages.get(lineage);
  }

  list(): readonly Session[] {
    return [...this.all];
  }
}
