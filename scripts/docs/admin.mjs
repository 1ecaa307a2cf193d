// The table of the routes in docs/admin-api.md, made from lib/admin/routes. test/repo/docs/admin-api.spec.ts checks it.

const FROM = /<!-- routes:.*?-->/;
const TO = '<!-- /routes -->';

/**
 * @param {string} document docs/admin-api.md as it is
 * @param {readonly { id: string, method: string, path: string, authority: string, summary: string, input: { fields?: object, required?: readonly string[] } }[]} routes
 * @returns {string} the document with the table of these routes
 * @throws Error where the document has no place for it
 */
export function renderAdmin(document, routes) {
  const from = FROM.exec(document);
  const to = document.indexOf(TO);
  if (from === null || to < 0) throw new Error('docs/admin-api.md has no place for the routes');
  const rows = routes.map((route) => {
    const { id, method, path, authority, summary } = route;
    return `| \`${method} ${path}\` | \`${id}\` | \`${authority}\` | ${summary} | ${inputOf(route)} |`;
  });
  const table = [
    '| route | id | authority | what it does | input |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ];
  return `${document.slice(0, from.index + from[0].length)}\n\n${table.join('\n')}\n\n${document.slice(to)}`;
}

/** The names of the fields; those that must be there in bold. */
function inputOf({ input: { fields = {}, required = [] } }) {
  const names = Object.keys(fields).map((name) =>
    required.includes(name) ? `**\`${name}\`**` : `\`${name}\``,
  );
  return names.length === 0 ? 'none' : names.join(', ');
}
