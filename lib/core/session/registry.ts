import type { Session } from './session.js';

const NOBODY: readonly Session[] = [];

/** Sessions by what several of them may have in common. */
class SessionIndex {
  /** A set only for several sessions: most have nobody beside them, and a set costs ten times its entry. */
  private readonly found = new Map<string, Session | Set<Session>>();

  add(key: string, session: Session): void {
    const known = this.found.get(key);
    if (known instanceof Set) known.add(session);
    else this.found.set(key, known === undefined || known === session ? session : new Set([known, session]));
  }

  remove(key: string, session: Session): void {
    const known = this.found.get(key);
    if (known === session) this.found.delete(key);
    else if (known instanceof Set && known.delete(session) && known.size === 0) this.found.delete(key);
  }

  count(key: string): number {
    const known = this.found.get(key);
    if (known === undefined) return 0;
    return known instanceof Set ? known.size : 1;
  }

  list(key: string): readonly Session[] {
    const known = this.found.get(key);
    if (known === undefined) return NOBODY;
    return known instanceof Set ? [...known] : [known];
  }
}

/** The live sessions of this node, found by what commands and records name. */
export class SessionRegistry {
  private readonly open = new Map<string, Session>();
  private readonly users = new SessionIndex();
  private readonly lineages = new Map<string, Session>();
  private readonly addresses = new SessionIndex();
  private count = 0;

  /** Number of connections, those before `welcome` included. */
  get size(): number {
    return this.open.size;
  }

  /** @param network the {@link Session.network}. */
  connectionsOf(network: string): number {
    return this.addresses.count(network);
  }

  find(id: string): Session | undefined {
    return this.open.get(id);
  }

  add(session: Session): void {
    session.number(++this.count);
    this.open.set(session.id, session);
    this.addresses.add(session.network, session);
  }

  /** Called as soon as the lineage is known, so that a newer generation finds the session. */
  adopt(session: Session): void {
    this.lineages.set(session.lineage, session);
  }

  /** Called as soon as the user is known: a ban must also end a session that still waits for `welcome`. */
  identify(session: Session): void {
    if (session.userId !== undefined) this.users.add(session.userId, session);
  }

  remove(session: Session): void {
    if (!this.open.delete(session.id)) return;
    this.addresses.remove(session.network, session);
    // A newer generation may already be in the place of this one.
    if (this.lineages.get(session.lineage) === session) this.lineages.delete(session.lineage);
    if (session.userId !== undefined) this.users.remove(session.userId, session);
  }

  ofUser(user: string): readonly Session[] {
    return this.users.list(user);
  }

  /** Sessions of anonymous clients, from their `welcome`; before it nobody is known to be one. */
  anonymousOf(network: string): readonly Session[] {
    return this.addresses.list(network).filter(({ userId, isLive }) => userId === undefined && isLive);
  }

  /** All sessions of an address, or network of addresses, as {@link Session.network} has it. */
  ofNetwork(network: string): readonly Session[] {
    return this.addresses.list(network);
  }

  ofLineage(lineage: string): Session | undefined {
    return this.lineages.get(lineage);
  }

  /** All of them, in the order in which they came. */
  all(): Iterable<Session> {
    return this.open.values();
  }

  list(): readonly Session[] {
    return [...this.open.values()];
  }
}
