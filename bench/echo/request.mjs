/** What a client sends and what a handler answers, the same for every server. */
export const payload = { title: 'Weekly report', tags: ['draft', 'finance', 'internal'], priority: 3 };

export function answer({ title, tags, priority }) {
  return { renamed: true, title, tags, priority: priority + 1 };
}
