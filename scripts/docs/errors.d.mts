type Errors = Readonly<
  Record<
    string,
    {
      readonly retryable: boolean;
      readonly http: number;
      readonly meaning: string;
      readonly remedy: string;
    }
  >
>;
type Closes = Readonly<Record<string, { readonly code: number; readonly meaning: string }>>;

export function renderErrors(
  errors: Errors,
  closes: Closes,
  actionOf: (code: number) => 'stay_closed' | 'reconnect' | 'stop',
): string;
export function strayNotes(errors: Errors, closes: Closes): string[];
