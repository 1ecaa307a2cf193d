// What the checks of documents share: fences of code, and the anchors of headings.

/** A fence of code, with its marks. */
const FENCE = /^[ \t]*```[\s\S]*?^[ \t]*```$/gm;

/** @returns {string[]} the fences of a document, with their marks */
export function fencesOf(markdown) {
  return markdown.match(FENCE) ?? [];
}

/** @returns {string} the document without its fences */
export function withoutFences(markdown) {
  return markdown.replace(FENCE, '');
}

/**
 * @param {string} markdown
 * @param {(text: string) => string} change
 * @returns {string} the document with the text between its fences changed
 */
export function outsideFences(markdown, change) {
  const fences = fencesOf(markdown);
  return markdown
    .split(FENCE)
    .map((text, index) => change(text) + (fences[index] ?? ''))
    .join('');
}

/** The anchor that GitHub gives a heading. */
export function slug(heading) {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

/** @returns {Set<string>} the anchors of a document's headings; of equal ones, as GitHub counts them */
export function anchorsOf(markdown) {
  const seen = new Map();
  const anchors = new Set();
  for (const [, heading] of withoutFences(markdown).matchAll(/^#{1,6} (.+)$/gm)) {
    const anchor = slug(heading);
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    anchors.add(count === 0 ? anchor : `${anchor}-${count}`);
  }
  return anchors;
}
