import { wireValueReader } from '../../protocol/wire-value.js';
import { Digest } from './digest.js';
import type { PartitionState } from './partition.js';
import type { PresenceState } from './presence.js';

/** A checkpoint as text: the digest of what follows, and the state. */
export function encodeCheckpoint(state: PartitionState): string {
  const text = JSON.stringify(state);
  return `${digestOf(text)}${text}`;
}

/** @returns `undefined` for what is no whole checkpoint, or one of a later form: the log is then read from its beginning. */
export function decodeCheckpoint(checkpoint: string): PartitionState | undefined {
  const [digest, text] = [checkpoint.slice(0, 16), checkpoint.slice(16)];
  if (digestOf(text) !== digest) return undefined;
  const state = JSON.parse(text) as PartitionState;
  // A later version of the form may be found by this code.
  if ((state.format as number) !== 1) return undefined;
  const { machine } = state;
  return { ...state, machine: { ...machine, presence: readData(machine.presence, wireValueReader(text)) } };
}

/** The data of members is all that may hold bytes. */
function readData({ devices, rooms }: PresenceState, read: (parsed: unknown) => unknown): PresenceState {
  return {
    devices,
    rooms: rooms.map(([channel, { head, members }]) => {
      const readable = members.map((member): (typeof members)[number] => {
        const [id, order, dataBytes, ofMember, ...data] = member;
        return data.length === 0 ? member : [id, order, dataBytes, ofMember, read(data[0])];
      });
      return [channel, { head, members: readable }] as const;
    }),
  };
}

function digestOf(text: string): string {
  const digest = new Digest();
  digest.text(text);
  return digest.value;
}
