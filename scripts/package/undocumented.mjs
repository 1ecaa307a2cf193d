// Which declarations of an API report have no docstring.

/**
 * @param {string} report text of a docs/api/*.api.md
 * @returns {{ exported: string[], others: string[] }} those of exported names, and those of types that only stand in
 *   their signatures: each `Owner: the line`, or the line alone where the declaration itself has none
 */
export function undocumentedIn(report) {
  const found = { exported: [], others: [] };
  const lines = report.split('\n');
  let owner = '';
  for (const [index, line] of lines.entries()) {
    if (/^[a-z]/.test(line)) owner = line;
    if (line.trim() !== '// (undocumented)') continue;
    const own = line.startsWith('//');
    const declaration = lines[index + 1]?.trim() ?? '';
    const list = (own ? declaration : owner).startsWith('export ') ? found.exported : found.others;
    list.push(own ? declaration : `${nameOf(owner)}: ${declaration}`);
  }
  return found;
}

function nameOf(declaration) {
  return /(?:class|interface|type|function|const|enum) (\w+)/.exec(declaration)?.[1] ?? declaration;
}
