/** Most bytes of answers that are on their way from other nodes: of all, and of those to one address. One alone may be larger. */
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_ADDRESS_BYTES = 2 * 1024 * 1024;

interface Asked {
  readonly network: string;
  readonly bytes: number;
  readonly grant: () => void;
  granted: boolean;
}

/**
 * Room for large answers of other nodes. Redis keeps what this node has not read yet, and cuts its connection where that is too much:
 * so a node sends such an answer when it was asked to, and here is decided when. Addresses take turns.
 */
export class AnswerRoom {
  private readonly asked = new Map<number, Asked>();
  /** What waits, by address: the one whose turn it is comes first. */
  private readonly waiting = new Map<string, Set<number>>();
  private readonly taken = new Map<string, number>();
  private all = 0;

  /** @param grant called once, when there is room; at once where there is. */
  ask(id: number, network: string, bytes: number, grant: () => void): void {
    if (this.asked.has(id)) return;
    this.asked.set(id, { network, bytes, grant, granted: false });
    const own = this.waiting.get(network);
    if (own === undefined) this.waiting.set(network, new Set([id]));
    else own.add(id);
    this.grantNext();
  }

  /** It came, or nobody waits for it. */
  leave(id: number): void {
    const asked = this.asked.get(id);
    if (asked === undefined) return;
    this.asked.delete(id);
    const { network, bytes } = asked;
    if (asked.granted) {
      this.all -= bytes;
      const left = (this.taken.get(network) ?? 0) - bytes;
      if (left > 0) this.taken.set(network, left);
      else this.taken.delete(network);
    } else this.unqueue(id, network);
    this.grantNext();
  }

  private grantNext(): void {
    // An address that was granted one goes to the end, and is met again there.
    for (const [network, [id]] of this.waiting) {
      const asked = id === undefined ? undefined : this.asked.get(id);
      if (id === undefined || asked === undefined) continue;
      const { bytes } = asked;
      // Smaller ones do not go ahead: a large one would wait for ever.
      if (!fits(this.all, bytes, MAX_BYTES)) return;
      const own = this.taken.get(network) ?? 0;
      if (!fits(own, bytes, MAX_ADDRESS_BYTES)) continue;
      this.unqueue(id, network);
      asked.granted = true;
      this.all += bytes;
      this.taken.set(network, own + bytes);
      asked.grant();
    }
  }

  private unqueue(id: number, network: string): void {
    const own = this.waiting.get(network);
    if (own === undefined) return;
    own.delete(id);
    this.waiting.delete(network);
    if (own.size > 0) this.waiting.set(network, own);
  }
}

function fits(taken: number, bytes: number, max: number): boolean {
  return taken === 0 || taken + bytes <= max;
}
