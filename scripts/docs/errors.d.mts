type Errors = Readonly<
  Record<
    string,
    {
      readonly retryable: boolean;
      readonly meaning: string;
    }
  >
>;
type Closes = Readonly<Record<string, { readonly code: number; readonly meaning: string }>>;

/** What each exception becomes, by the command that it answers. */
export type ErrorTable = Readonly<
  Record<
    string,
    Readonly<Record<string, { readonly code: string; readonly reason?: string; readonly then: string }>>
  >
>;

export function renderErrors(
  errors: Errors,
  closes: Closes,
  actionOf: (code: number) => 'stay_closed' | 'reconnect' | 'stop',
  table: ErrorTable,
): string;
export function strayNotes(errors: Errors, closes: Closes): string[];
