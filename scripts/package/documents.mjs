// Documents as a package holds them: what they link to must be there once they are installed, or be an address.
import { dirname, join, normalize, relative } from 'node:path/posix';
import { outsideFences, withoutFences } from '../docs/markdown.mjs';

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
  return outsideFences(markdown, (text) =>
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
  for (const [, , , path, anchor] of withoutFences(markdown).matchAll(LINK))
    if (!isAddress(path)) links.push({ path, anchor: anchor?.slice(1) });
  return links;
}

function isAddress(path) {
  return /^[a-z]+:/.test(path);
}
