/** What a failed attempt says beside that it failed. */
export interface DeliveryFailureDetails {
  /** When the target wants to be called again, in milliseconds: until then it is called for no event. */
  readonly retryAfterMs?: number | undefined;
  /** `event`: this event is never tried again. `target`: the target wants no event any more. */
  readonly ends?: 'event' | 'target' | undefined;
  /** The error behind it. */
  readonly cause?: unknown;
}

/** An attempt failed. Its text is logged: it has neither payloads nor secrets. */
export class DeliveryFailure extends Error {
  /** Always `DeliveryFailure`. */
  override readonly name = 'DeliveryFailure';
  /** See {@link DeliveryFailureDetails.retryAfterMs}. */
  readonly retryAfterMs: number | undefined;
  /** See {@link DeliveryFailureDetails.ends}. */
  readonly ends: 'event' | 'target' | undefined;

  constructor(message: string, { retryAfterMs, ends, cause }: DeliveryFailureDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.retryAfterMs = retryAfterMs;
    this.ends = ends;
  }
}
