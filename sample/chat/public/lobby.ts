import { byId, copyOf, displayName, wordsOf } from './dom.js';
import type { Session } from './session.js';

/** A room, as the server describes it. */
export interface Room {
  readonly id: string;
  readonly title: string;
  readonly owner?: string;
}

const list = byId('rooms', HTMLUListElement);
const form = byId('create-form', HTMLFormElement);
const title = byId('title', HTMLInputElement);
const error = byId('create-error', HTMLParagraphElement);

export const addressOf = (room: { readonly id: string }): string => `#/rooms/${room.id}`;

/** The list of rooms: first a snapshot, then each room that is created. */
export function showLobby({ client }: Session): void {
  const lobby = client.channel('lobby');
  const links = new Map<string, HTMLElement>();

  const add = (room: Room): void => {
    if (links.has(room.id)) return;
    const { root, part } = copyOf('room-item');
    const link = part('a') as HTMLAnchorElement;
    link.href = addressOf(room);
    part('.room-item-title').textContent = room.title;
    part('.room-item-owner').textContent = room.owner === undefined ? 'everybody’s' : displayName(room.owner);
    links.set(room.id, root);
    list.append(root);
    mark();
  };

  lobby.on('snapshot', (state) => {
    // After a restart of the server the position is lost and a new snapshot comes; rooms that it lacks are gone.
    links.clear();
    list.replaceChildren();
    for (const room of (state as { rooms: Room[] }).rooms) add(room);
  });
  lobby.on<Room>('room.created', add);
  void lobby.subscribe();

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    error.textContent = '';
    lobby.request<Room>('create', { title: title.value }).then(
      (room) => {
        title.value = '';
        location.hash = addressOf(room);
      },
      (reason: unknown) => {
        error.textContent = wordsOf(reason);
      },
    );
  });
}

/** Marks the room that is open. */
export function mark(): void {
  for (const link of list.querySelectorAll('a')) {
    if (link.getAttribute('href') === location.hash) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}
