import type { HeldThing } from '../../core/ports/transitions.js';

/** One text for a thing: names of channels have no line break, so the first one ends the channel. */
export function thingName({ channel, member }: HeldThing): string {
  return member === undefined ? channel : `${channel}\n${member}`;
}

export function readThing(name: string): HeldThing {
  const end = name.indexOf('\n');
  return end === -1 ? { channel: name } : { channel: name.slice(0, end), member: name.slice(end + 1) };
}
