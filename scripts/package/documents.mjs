// Documents as a package holds them: what they link to must be there once they are installed, or be an address.
import { dirname, join, normalize, relative } from 'node:path/posix';
import { outsideFences, withoutFences } from '../docs/markdown.mjs';

/** Documents of each package: where they are in the repository, and where in the package. What a text of lib names is among them. */
export const DOCUMENTS = {
  'nestjs-realtime': {
    'README.md': 'README.md',
    'CHANGELOG.md': 'CHANGELOG.md',
    'SECURITY.md': 'SECURITY.md',
    'docs/guide.md': 'docs/guide.md',
    'docs/authentication.md': 'docs/authentication.md',
    'docs/choosing-a-transport.md': 'docs/choosing-a-transport.md',
    'docs/deployment.md': 'docs/deployment.md',
    'docs/choosing-a-broker.md': 'docs/choosing-a-broker.md',
    'docs/scaling.md': 'docs/scaling.md',
    'docs/kafka.md': 'docs/kafka.md',
    'docs/nats.md': 'docs/nats.md',
    'docs/capacity.md': 'docs/capacity.md',
    'docs/operations.md': 'docs/operations.md',
    'docs/doctor.md': 'docs/doctor.md',
    'docs/metrics.md': 'docs/metrics.md',
    'docs/tracing.md': 'docs/tracing.md',
    'docs/moderation.md': 'docs/moderation.md',
    'docs/audit.md': 'docs/audit.md',
    'docs/hooks.md': 'docs/hooks.md',
    'docs/consumers.md': 'docs/consumers.md',
    'docs/security.md': 'docs/security.md',
    'docs/admin-api.md': 'docs/admin-api.md',
    'docs/options.md': 'docs/options.md',
    'docs/limits.md': 'docs/limits.md',
    'docs/errors.md': 'docs/errors.md',
    'docs/protocol.md': 'docs/protocol.md',
    'docs/guarantees.md': 'docs/guarantees.md',
  },
  'nestjs-realtime-client': { 'lib/client/README.md': 'README.md' },
};

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
 * @returns {string} the same without what aligns its tables: half of what the tables weigh
 */
export function withoutPadding(markdown) {
  return outsideFences(markdown, (text) =>
    text.replace(/^\|.*$/gm, (row) => row.replace(/ {2,}\|/g, ' |').replace(/-{4,}/g, '---')),
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
