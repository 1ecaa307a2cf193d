type Errors = Readonly<Record<string, { readonly retryable: boolean }>>;
type Closes = Readonly<Record<string, { readonly code: number }>>;
type Meanings = Readonly<Record<'ERROR_MEANINGS' | 'CLOSE_MEANINGS', Readonly<Record<string, string>>>>;

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
  meanings: Meanings,
  actionOf: (code: number) => 'stay_closed' | 'reconnect' | 'stop',
  table: ErrorTable,
): string;
export function strayNotes(errors: Errors, closes: Closes): string[];
