type Kind = 'tick' | 'said';

/** What one client was sent. */
export class Witness {
  moved: boolean;
  readonly disordered: number;
  readonly doubled: number;
  note(kind: Kind, payload: { readonly n: number }): void;
  measure(): { readonly longest: number; readonly moved: boolean };
  missing(acknowledged: Readonly<Record<Kind, readonly number[]>>): number;
}
