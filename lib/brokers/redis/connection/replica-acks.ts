/** What is needed of a connection: acknowledgements of one that was closed count no more. */
export interface AckConnection {
  on(event: 'close', listener: () => void): unknown;
}

interface Group {
  readonly answer: Promise<number>;
  /** Whether the question was sent. It does not cover later writes. */
  asked: boolean;
  /** The answer to the question after it, for later writes. */
  next: Promise<number> | undefined;
}

/**
 * Asks how many replicas have what was written, once for all writes since the last question. The question (`WAIT`) blocks its
 * connection until the replicas have answered, so one for each write would make the writes wait for one another.
 */
export class ReplicaAcks<C extends AckConnection> {
  private readonly groups = new Map<C, Group>();
  /** How often each connection was closed. `WAIT` says nothing about writes of a connection that was closed. */
  private readonly closes = new WeakMap<C, number>();

  /** @param ask Sends the question at once, after what was written to the connection. Resolves to the number of replicas. */
  constructor(private readonly ask: (connection: C) => Promise<number>) {}

  /**
   * To be called right after a write.
   *
   * @returns How many replicas are known to have it; 0 when that cannot be known. Never rejects.
   */
  async wait(connection: C): Promise<number> {
    const closes = this.closesOf(connection);
    const replicas = await this.join(connection);
    return this.closesOf(connection) === closes ? replicas : 0;
  }

  private join(connection: C): Promise<number> {
    const group = this.groups.get(connection);
    if (group === undefined) return this.begin(connection);
    if (!group.asked) return group.answer;
    group.next ??= group.answer.then(() => this.begin(connection));
    return group.next;
  }

  private begin(connection: C): Promise<number> {
    // At the end of the turn, so that it covers all writes of the turn.
    const answer = Promise.resolve()
      .then(() => {
        group.asked = true;
        return this.ask(connection);
      })
      .catch(() => 0);
    const group: Group = { answer, asked: false, next: undefined };
    this.groups.set(connection, group);
    void answer.then(() => {
      if (group.next === undefined) this.groups.delete(connection);
    });
    return answer;
  }

  private closesOf(connection: C): number {
    const closes = this.closes.get(connection);
    if (closes !== undefined) return closes;
    this.closes.set(connection, 0);
    connection.on('close', () => this.closes.set(connection, this.closesOf(connection) + 1));
    return 0;
  }
}
