import type { Session } from './session.js';

/** The live sessions of this node, found by what commands and records name. */
export class SessionRegistry {
  private readonly all = new Map<string, Session>();
  /** A set only for a user with several connections: most have one, and a set costs ten times its entry. */
  private readonly users = new Map<string, Session | Set<Session>>();
  private readonly lineages = new Map<string, Session>();
  private readonly addresses = new Map<string, number>();

  /** Number of connections, those before `welcome` included. */
  get size(): number {
    return this.all.size;
  }

  connectionsOf(ip: string): number {
    return this.addresses.get(ip) ?? 0;
  }

  find(id: string): Session | undefined {
    return this.all.get(id);
  }

  has(id: string): boolean {
    return this.all.has(id);
  }

  add(session: Session): void {
    this.all.set(session.id, session);
    const { ip } = session.connection.handshake;
    this.addresses.set(ip, this.connectionsOf(ip) + 1);
  }

  /** Called as soon as the lineage is known, so that a newer generation finds the session. */
  adopt(session: Session): void {
    this.lineages.set(session.lineage, session);
  }

  /** Called as soon as the user is known: a ban must also end a session that still waits for `welcome`. */
  identify(session: Session): void {
    const id = session.user?.id;
    if (id === undefined) return;
    const known = this.users.get(id);
    if (known instanceof Set) known.add(session);
    else this.users.set(id, known === undefined || known === session ? session : new Set([known, session]));
  }

  remove(session: Session): void {
    if (!this.all.delete(session.id)) return;
    const { ip } = session.connection.handshake;
    const connections = this.connectionsOf(ip) - 1;
    if (connections > 0) this.addresses.set(ip, connections);
    else this.addresses.delete(ip);
    // A newer generation may already be in the place of this one.
    if (this.lineages.get(session.lineage) === session) this.lineages.delete(session.lineage);
    const id = session.user?.id;
    if (id === undefined) return;
    const known = this.users.get(id);
    if (known === session) this.users.delete(id);
    else if (known instanceof Set && known.delete(session) && known.size === 0) this.users.delete(id);
  }

  ofUser(user: string): readonly Session[] {
    const known = this.users.get(user);
    if (known === undefined) return [];
    return known instanceof Set ? [...known] : [known];
  }

  ofLineage(lineage: string): Session | undefined {
    return this.lineages.get(lineage);
  }

  list(): readonly Session[] {
    return [...this.all.values()];
  }
}
