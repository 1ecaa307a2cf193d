/**
 * What the application's handler returned cannot be sent. The codec knows what is wrong with it but not whose it is; the
 * log must name both, for the client is told nothing but `internal` (G25).
 *
 * @param handler which one, in words that the application chose: nothing that only a client said (G23).
 */
export function notSerializable(handler: string, cause: unknown): Error {
  const problem = cause instanceof Error ? cause.message : 'unknown problem';
  return new Error(
    `What ${handler} returned cannot be written down: ${problem}. ` +
      'Return what JSON can hold: a BigInt as a string, nothing that contains itself.',
    { cause },
  );
}
