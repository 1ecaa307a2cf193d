import { timeOf } from './clock.js';
import { byId, copyOf } from './dom.js';

const KEPT = 12;
const list = byId('activity', HTMLOListElement);

export type Mood = 'info' | 'good' | 'bad';

/** Shows what the library just did, newest first. A real application would not show most of it. */
export function logActivity(text: string, mood: Mood = 'info'): void {
  const { root, part } = copyOf('activity-item');
  root.dataset.mood = mood;
  part('time').textContent = timeOf(Date.now());
  part('.activity-text').textContent = text;
  list.prepend(root);
  while (list.childElementCount > KEPT) list.lastElementChild?.remove();
}
