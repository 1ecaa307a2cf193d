/** What the chart shows: a figure of a column of a table, for some rows of it. The last row is the library's. */
const PANELS = [
  {
    bench: 'fanout',
    table: /10 events per turn$/,
    column: 'CPU µs/delivery',
    heading: 'CPU per delivered event, µs',
    sub: '1,000 subscribers, 10 events per turn; less is better',
    rows: {
      'ws, naive loop': 'ws',
      '@nestjs/platform-ws, loop': 'platform-ws',
      'Socket.IO, room': 'Socket.IO',
      'uWebSockets.js, topic': 'uWebSockets.js',
      'nestjs-realtime': 'nestjs-realtime',
    },
  },
  {
    bench: 'sustained',
    table: /^Highest sustained rate/,
    column: 'deliveries/s',
    heading: 'Sustained deliveries per second',
    sub: 'one core, 1,000 subscribers, p99 below 50 ms; more is better',
    rows: {
      'ws, naive loop': 'ws',
      'Socket.IO, room': 'Socket.IO',
      'uWebSockets.js, topic': 'uWebSockets.js',
      'nestjs-realtime': 'nestjs-realtime',
    },
  },
  {
    bench: 'echo',
    table: /^A request and its reply/,
    column: 'CPU µs',
    heading: 'CPU per request with a guard and a pipe, µs',
    sub: '100 connections; less is better',
    rows: {
      '@nestjs/platform-ws, guard and pipe': 'platform-ws',
      'nestjs-realtime, guard and pipe': 'nestjs-realtime',
    },
  },
  {
    bench: 'idle',
    table: /^Bytes per idle connection/,
    column: 'RSS',
    heading: 'Memory per idle connection, bytes',
    sub: '10,000 connections, authenticated and subscribed; less is better',
    rows: {
      ws: 'ws',
      '@nestjs/platform-ws': 'platform-ws',
      'Socket.IO': 'Socket.IO',
      'nestjs-realtime': 'nestjs-realtime',
    },
  },
];

const WIDTH = 840;
const LABEL = 150;
const VALUE = 90;
const BAR = 18;
const STEP = 27;
const HEAD = 52;
const GAP = 26;

// One set of colours that is legible on light and dark pages, and better ones where the page says which it is.
const STYLE = `
  text { font: 14px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #57606a; }
  .heading { font-size: 16px; font-weight: 600; fill: #1f2328; }
  .sub { font-size: 12.5px; }
  .bar { fill: #b6bec9; }
  .own { fill: #d6336c; }
  text.own { fill: #c2255c; font-weight: 600; }
  .page { fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #9da7b3; }
    .heading { fill: #e6edf3; }
    .bar { fill: #57606a; }
    .own { fill: #f06595; }
    text.own { fill: #faa2c1; }
    .page { fill: #0d1117; }
  }
`;

/** @returns the chart as SVG, or `undefined` when there are no results for it. */
export function renderChart(results) {
  const panels = PANELS.map((panel) => ({ ...panel, bars: barsOf(panel, results) })).filter(
    ({ bars }) => bars !== undefined,
  );
  if (panels.length === 0) return undefined;
  let y = GAP;
  const drawn = [];
  for (const panel of panels) {
    drawn.push(draw(panel, y));
    y += HEAD + panel.bars.length * STEP + GAP;
  }
  const label = panels.map(({ heading }) => heading).join('; ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img" aria-label="${escaped(label)}">
<style>${STYLE}</style>
<rect class="page" width="${WIDTH}" height="${y}" rx="6"/>
${drawn.join('\n')}
</svg>
`;
}

function barsOf({ bench, table, column, rows }, results) {
  const result = results.find((candidate) => candidate.bench === bench);
  if (result === undefined) return undefined;
  const source = result.tables.find(({ title }) => table.test(title));
  const at = source?.columns.indexOf(column) ?? -1;
  if (at === -1) throw new Error(`bench/results/${bench}.json has no "${column}" in a table like ${table}`);
  return Object.entries(rows).flatMap(([name, label]) => {
    const text = source.rows.find(([first]) => first === name)?.[at];
    const value = Number(text?.replaceAll(',', ''));
    // A peer that did not load on that machine has no figure.
    return Number.isFinite(value) ? [{ label, value, text, own: label === 'nestjs-realtime' }] : [];
  });
}

function draw({ heading, sub, bars }, top) {
  const longest = Math.max(...bars.map(({ value }) => value));
  const room = WIDTH - LABEL - VALUE - 2 * GAP;
  const lines = bars.map(({ label, value, text, own }, index) => {
    const y = top + HEAD + index * STEP;
    const width = Math.max(2, (room * value) / longest);
    const kind = own ? ' class="own"' : '';
    return [
      `<text${kind} x="${GAP + LABEL - 10}" y="${y + 14}" text-anchor="end">${escaped(label)}</text>`,
      `<rect class="${own ? 'own' : 'bar'}" x="${GAP + LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="3"/>`,
      `<text${kind} x="${(GAP + LABEL + width + 8).toFixed(1)}" y="${y + 14}">${escaped(text)}</text>`,
    ].join('\n');
  });
  return [
    `<text class="heading" x="${GAP}" y="${top + 16}">${escaped(heading)}</text>`,
    `<text class="sub" x="${GAP}" y="${top + 35}">${escaped(sub)}</text>`,
    ...lines,
  ].join('\n');
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
