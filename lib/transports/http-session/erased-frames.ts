/** Most events that are looked for in frames. */
const MAX_SOUGHT = 16;
/** The field of an answer, or of a `reset`, with the state that the application made: it may have any event. */
const STATE = '"snapshot":';

/**
 * Whether frames that are kept may hold one of these events of some channel, which were erased (G29). It may say so of others: their
 * client then resumes.
 */
export function mayHoldErased(frames: readonly Buffer[], seqs: readonly number[]): boolean {
  // To look for many takes longer than to send the answer again from the log.
  if (seqs.length > MAX_SOUGHT) return frames.length > 0;
  const places = seqs.map((seq) => `"seq":${seq},`);
  return frames.some((bytes) => bytes.includes(STATE) || places.some((place) => bytes.includes(place)));
}
