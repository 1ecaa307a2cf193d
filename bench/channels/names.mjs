/** The channel that everybody is subscribed to. */
export const SHARED = 'bench.everybody';

/** One of the channels of a group of clients. */
export function small(group, channel) {
  return `bench.groups.${group}.${channel}`;
}
