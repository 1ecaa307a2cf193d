// Documents as a package holds them: what they link to must be there once they are installed, or be an address.
import { dirname, join, normalize, relative } from 'node:path/posix';

/** `](target)`, an image's mark before it, and an anchor behind it. */
const LINK = /(!?)(\[(?:[^[\]]|\[[^\]]*\])*\])\(([^)\s#]*)(#[^)\s]*)?\)/g;

/**
 * @param {string} markdown
 * @param {string} source where the document is in the repository
 * @param {Map<string, string>} shipped where documents of the repository are in the package
 * @param {{ repository: { url: string }, version: string }} manifest
 * @returns {string} the document with links that work in the package
 */
export function withLinks(markdown, source, shipped, { repository, version }) {
  const home = repository.url.replace(/^git\+/, '').replace(/\.git$/, '');
  const own = shipped.get(source);
  if (own === undefined) throw new Error(`${source} is not in the package`);
  return outsideCode(markdown, (text) =>
    text.replace(LINK, (link, image, label, path, anchor = '') => {
      if (path === '' || isAddress(path)) return link;
      const target = normalize(join(dirname(source), path));
      const inside = shipped.get(target);
      const address =
        inside === undefined
          ? `${home}/${image === '' ? 'blob' : 'raw'}/v${version}/${target}`
          : relative(dirname(own), inside);
      return `${image}${label}(${address}${anchor})`;
    }),
  );
}

/**
 * @param {string} markdown
 * @returns {{ path: string, anchor: string | undefined }[]} its links that are no addresses
 */
export function relativeLinks(markdown) {
  const links = [];
  outsideCode(markdown, (text) => {
    for (const [, , , path, anchor] of text.matchAll(LINK))
      if (!isAddress(path)) links.push({ path, anchor: anchor?.slice(1) });
    return text;
  });
  return links;
}

function isAddress(path) {
  return /^[a-z]+:/.test(path);
}

/** Applies a change to the text between fences. */
function outsideCode(markdown, change) {
  return markdown
    .split(/(^[ \t]*```[\s\S]*?^[ \t]*```$)/gm)
    .map((part, index) => (index % 2 === 0 ? change(part) : part))
    .join('');
}
