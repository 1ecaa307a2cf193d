import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto';

/** The content of a session ticket (P28). */
export interface Ticket {
  readonly user: string | undefined;
  readonly node: string;
  /** Names the client's session across its connections. */
  readonly lineage: string;
  /** Counts the connections of the lineage; the newest wins. */
  readonly generation: number;
  /** When it was signed, in milliseconds since the Unix epoch; `undefined` in those of older versions. */
  readonly issuedAt?: number | undefined;
}

const MAX_TICKET_LENGTH = 2048;

/** Signs and reads tickets. They are opaque to clients, kept in memory only, and never logged (G23). */
export class TicketSigner {
  /** Created once: a key in the form of text would be created again for every digest. */
  private readonly key: KeyObject;

  constructor(secret: string) {
    this.key = createSecretKey(Buffer.from(secret));
  }

  sign({ user, node, lineage, generation, issuedAt }: Ticket): string {
    const body = Buffer.from(JSON.stringify([user ?? null, node, lineage, generation, issuedAt])).toString(
      'base64url',
    );
    return `${body}.${this.digest(body)}`;
  }

  /** The ticket, or `undefined` for anything that this secret did not sign. */
  read(text: string): Ticket | undefined {
    if (text.length > MAX_TICKET_LENGTH) return undefined;
    const dot = text.indexOf('.');
    if (dot === -1) return undefined;
    const body = text.slice(0, dot);
    const given = Buffer.from(text.slice(dot + 1));
    const expected = Buffer.from(this.digest(body));
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
    const [user, node, lineage, generation, issuedAt] = JSON.parse(
      Buffer.from(body, 'base64url').toString(),
    ) as [string | null, string, string, number, number | null | undefined];
    return { user: user ?? undefined, node, lineage, generation, issuedAt: issuedAt ?? undefined };
  }

  private digest(body: string): string {
    return createHmac('sha256', this.key).update(body).digest('base64url');
  }
}
