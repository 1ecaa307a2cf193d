/**
 * Whether two Markdown texts say the same. Prettier aligns tables and chooses between ways of escaping; neither is part of
 * what a document says, and running Prettier inside a test costs more than it proves.
 */
export function sameMarkdown(left: string, right: string): boolean {
  return bare(left) === bare(right);
}

function bare(markdown: string): string {
  return markdown
    .replace(/\\(?=[^A-Za-z0-9\s])/g, '')
    .replace(/^\|(?=[\s:|-]*$).*$/gm, '|-|')
    .replace(/[ \t]+/g, ' ')
    .replace(/ ?\| ?/g, '|')
    .replace(/\b_|_\b/g, '*')
    .replace(/\n{2,}/g, '\n')
    .trim();
}
