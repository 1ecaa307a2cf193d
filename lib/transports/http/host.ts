/**
 * A `Host` header (RFC 9110 §7.2): name or bracketed IPv6 address, and a port. Nothing else gets to the URL
 * parser.
 */
const HOST = /^(\[[0-9a-f:.]+\]|[^\s/?#@\\%:[\]]+)(?::(\d{1,5}))?$/i;

/** Outcome of a host check. `malformed` is answered with 400, `foreign` with 403. */
export type HostVerdict = 'allowed' | 'malformed' | 'foreign';

/**
 * Compiles the names under which this server may be addressed; the defence against DNS rebinding. An entry
 * without a port allows every port. Compared without case, exactly: no wildcards, no suffixes.
 *
 * @throws TypeError naming the entry that is not a host.
 * @example compileHosts(['example.com', 'localhost:3000'])('example.com:8443') // 'allowed'
 */
export function compileHosts(entries: readonly string[]): (host: string | undefined) => HostVerdict {
  const allowed = entries.map((entry) => {
    const authority = entry.includes('*') ? undefined : parse(entry);
    if (authority === undefined) {
      throw new TypeError(
        `allowedHosts: "${entry}" is not a host. Write "name" or "name:port", one entry per name.`,
      );
    }
    return authority;
  });
  return (host) => {
    const authority = host === undefined ? undefined : parse(host);
    if (authority === undefined) return 'malformed';
    const known = allowed.some(
      ({ name, port }) => name === authority.name && (port === undefined || port === authority.port),
    );
    return known ? 'allowed' : 'foreign';
  };
}

function parse(host: string) {
  const match = HOST.exec(host);
  const name = match?.[1];
  return name === undefined ? undefined : { name: name.toLowerCase(), port: match?.[2] };
}
