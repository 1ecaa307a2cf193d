import type { PresenceMember } from 'nestjs-realtime/client';
import { byId, copyOf, displayName, paintAvatar, plural } from './dom.js';

const list = byId('people', HTMLUListElement);
const count = byId('people-count', HTMLSpanElement);

/** What the list needs to know about the room, and what it can do there. */
export interface Moderation {
  readonly self: string;
  owner: string | undefined;
  /** Whether this user may do all of this here. */
  isAllowed: boolean;
  readonly muted: { has(user: string): boolean };
  kick(user: string): void;
  ban(user: string): void;
  mute(user: string, muted: boolean): void;
}

/** Shows the members. Several devices of one user are one member (G19). */
export function showPeople(members: readonly PresenceMember[], room: Moderation): void {
  const sorted = [...members].sort(
    (a, b) => Number(b.id === room.self) - Number(a.id === room.self) || a.id.localeCompare(b.id),
  );
  count.textContent = members.length === 0 ? '' : String(members.length);
  list.replaceChildren(...sorted.map((member) => itemOf(member, room)));
}

function itemOf({ id, devices }: PresenceMember, room: Moderation): HTMLElement {
  const { root, part } = copyOf('person-item');
  const name = displayName(id);
  const muted = room.muted.has(id);
  root.dataset.user = id;
  paintAvatar(part('.avatar'), id);
  part('.person-name').textContent = id === room.self ? `${name} (you)` : name;
  part('.person-facts').textContent = [
    id === room.owner ? 'owner' : '',
    id === 'moderator' ? 'moderator' : '',
    devices > 1 ? plural(devices, 'device') : '',
    muted ? 'muted' : '',
  ]
    .filter(Boolean)
    .join(' · ');

  if (room.isAllowed && id !== room.self && id !== 'moderator') {
    part('.moderation').hidden = false;
    const mute = part('.mute');
    mute.textContent = muted ? 'Unmute' : 'Mute';
    mute.setAttribute('aria-label', `${mute.textContent} ${name}`);
    mute.addEventListener('click', () => room.mute(id, !muted));
    const kick = part('.kick');
    kick.textContent = 'Remove';
    kick.setAttribute('aria-label', `Remove ${name} from the room`);
    kick.addEventListener('click', () => room.kick(id));
    const ban = part('.ban');
    ban.textContent = 'Ban';
    ban.setAttribute('aria-label', `Ban ${name} from the room for a day`);
    ban.addEventListener('click', () => room.ban(id));
  }
  return root;
}
