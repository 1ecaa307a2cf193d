/** Terms that are remembered: each is a change of the leader. */
const KEPT = 128;

/** Which terms a reader met, and where each began: what it needs to find a cut. */
export class TermHistory {
  private terms: { readonly term: number; readonly offset: number }[];

  /** @param term Of the last record that was read, or 0. Where it began is not known: a cut in it may be anywhere. */
  constructor(term: number) {
    this.terms = term > 0 ? [{ term, offset: 0 }] : [];
  }

  /** Of the last record; 0 when there was none. */
  get last(): number {
    return this.terms.at(-1)?.term ?? 0;
  }

  add(term: number, offset: number): void {
    if (term <= this.last) return;
    this.terms.push({ term, offset });
    if (this.terms.length <= KEPT) return;
    // The first that is kept stands for all before it: a cut in it may be anywhere.
    const [, second] = this.terms.splice(0, 2);
    if (second !== undefined) this.terms.unshift({ ...second, offset: 0 });
  }

  /**
   * Where the log and what was read part, by the leader's answer to a question for {@link last}.
   *
   * @param answered The highest term of the log that is not above the one that was asked for.
   * @param end Where the records of that term end.
   * @param next Offset of the record that comes next.
   * @returns `undefined` when they do not part
   */
  findCut(answered: number, end: number, next: number): number | undefined {
    if (answered >= this.last) return end < next ? end : undefined;
    // The log does not know the last term: nothing that was read in terms above the one that it knows is in it.
    const lost = this.terms.find(({ term }) => term > answered);
    return Math.min(end, lost?.offset ?? next);
  }
}
