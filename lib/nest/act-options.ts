/** Why and by whom an administrative act is done, for the audit (G26). */
export interface ActOptions {
  /** Why; it goes to the log, not to the client. */
  readonly reason?: string;
  /** Who did it. */
  readonly by?: string;
}
