import { timeOf } from './clock.js';
import { byId, copyOf } from './dom.js';

const KEPT = 12;
const list = byId('happenings', HTMLOListElement);

export type Mood = 'info' | 'good' | 'bad';

/** Tells what the library just did, newest first. A real application would keep most of it to itself. */
export function tell(text: string, mood: Mood = 'info'): void {
  const { root, part } = copyOf('happening-item');
  root.dataset.mood = mood;
  part('time').textContent = timeOf(Date.now());
  part('.happening-text').textContent = text;
  list.prepend(root);
  while (list.childElementCount > KEPT) list.lastElementChild?.remove();
}
