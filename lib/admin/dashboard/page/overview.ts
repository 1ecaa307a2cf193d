import { Chart } from './charts.js';
import { fill, h, table } from './dom.js';
import { bytes, count, duration, rate, words } from './format.js';
import { Samples, type Sample } from './samples.js';
import { linkTo, type ShownView, type View, type ViewContext } from './view.js';

interface Busy {
  readonly channel: string;
  readonly pattern: string;
  readonly subscribers: number;
}

/** How often the fullest channels are asked for, in milliseconds: each node looks through all of its own. */
const BUSIEST_EVERY_MS = 5_000;

interface Tile {
  readonly label: string;
  readonly of: (sample: Sample) => string;
  readonly isBad?: (sample: Sample) => boolean;
}

const TILES: readonly Tile[] = [
  { label: 'Connections', of: (sample) => count(Samples.sum(sample, 'sessions')) },
  { label: 'Events delivered', of: (sample) => rate(Samples.rateOf(sample, 'delivered_total')) },
  { label: 'Published', of: (sample) => rate(Samples.rateOf(sample, 'published:')) },
  { label: 'Waiting to be sent', of: (sample) => bytes(Samples.sum(sample, 'queue_bytes')) },
  {
    label: 'Blocked clients',
    of: (sample) => {
      const blocked = Samples.sum(sample, 'blocked');
      return blocked === 0 ? 'none' : `${count(blocked)}, ${duration(Samples.most(sample, 'queue_age_ms'))}`;
    },
  },
  {
    label: 'Nodes',
    of: ({ nodes, missing }) =>
      missing.length === 0 ? count(nodes.length) : `${nodes.length} of ${nodes.length + missing.length}`,
    isBad: ({ missing }) => missing.length > 0,
  },
  {
    label: 'Broker',
    of: (sample) => (isBrokerUp(sample) ? 'up' : 'away'),
    isBad: (sample) => !isBrokerUp(sample),
  },
];

export const OVERVIEW: View = {
  id: 'overview',
  title: 'Overview',
  show: (context) => new Overview(context),
};

class Overview implements ShownView {
  readonly element: HTMLElement;
  private readonly tiles = TILES.map(() => h('dd', {}, '–'));
  private readonly charts: readonly Chart[];
  private readonly closed = h('div');
  private readonly refused = h('div');
  private readonly busiest = h('div', {}, h('p', { class: 'empty' }, 'Asking the nodes…'));
  private readonly unfollow: () => void;
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(private readonly context: ViewContext) {
    const { samples } = context;
    const sum = (name: string) => (sample: Sample) => Samples.sum(sample, name);
    const most = (name: string) => (sample: Sample) => Samples.most(sample, name);
    const rateOf = (prefix: string) => (sample: Sample) => Samples.rateOf(sample, prefix);
    this.charts = [
      new Chart(
        'Connections',
        [
          { label: 'WebSocket', colour: 'accent', of: sum('open.websocket') },
          {
            label: 'streams',
            colour: 'good',
            of: (sample) => Samples.sum(sample, 'open.sse') + Samples.sum(sample, 'open.feed'),
          },
          { label: 'polls', colour: 'warn', of: sum('open.polling') },
        ],
        samples,
        count,
      ),
      new Chart(
        'Events a second',
        [
          { label: 'delivered', colour: 'accent', of: rateOf('delivered_total') },
          { label: 'published', colour: 'good', of: rateOf('published:') },
          { label: 'not delivered', colour: 'bad', of: rateOf('lost:') },
        ],
        samples,
        rate,
      ),
      new Chart(
        'Latency, worst node: 99 of 100 below',
        [
          { label: 'publish to socket', colour: 'accent', of: most('delivery_ms') },
          { label: 'event loop', colour: 'warn', of: most('loop_delay_ms') },
        ],
        samples,
        duration,
      ),
      new Chart(
        'Queues: bytes that wait to be sent',
        [{ label: 'waiting', colour: 'accent', of: sum('queue_bytes') }],
        samples,
        bytes,
      ),
      new Chart(
        'Connections that ended, and clients that were refused',
        [
          { label: 'ended', colour: 'warn', of: rateOf('closed:') },
          { label: 'refused', colour: 'bad', of: rateOf('refused:') },
        ],
        samples,
        rate,
      ),
      new Chart(
        'Memory of the processes',
        [{ label: 'resident', colour: 'good', of: sum('rss_bytes') }],
        samples,
        bytes,
      ),
    ];
    this.element = h(
      'div',
      { class: 'view' },
      h('h2', {}, 'Overview'),
      h(
        'dl',
        { class: 'tiles' },
        ...TILES.map(({ label }, index) =>
          h('div', { class: 'card' }, h('dt', {}, label), this.tiles[index]),
        ),
      ),
      h('div', { class: 'charts' }, ...this.charts.map(({ element }) => element)),
      h('div', { class: 'columns' }, this.closed, this.refused, this.busiest),
    );
    this.unfollow = samples.onChange(() => this.update());
    this.timer = setInterval(() => void this.askBusiest(), BUSIEST_EVERY_MS);
    void this.askBusiest();
    this.update();
  }

  end(): void {
    this.unfollow();
    clearInterval(this.timer);
    for (const chart of this.charts) chart.end();
  }

  private update(): void {
    const { samples } = this.context;
    const { last } = samples;
    if (last === undefined) return;
    TILES.forEach(({ of, isBad }, index) => {
      const tile = this.tiles[index] as HTMLElement;
      tile.textContent = of(last);
      tile.classList.toggle('bad', isBad?.(last) === true);
    });
    for (const chart of this.charts) chart.update();
    fill(this.closed, countsTable('Why connections ended', samples.grown('closed')));
    fill(this.refused, countsTable('What was refused', samples.grown('refused')));
  }

  private async askBusiest(): Promise<void> {
    try {
      const { channels } = await this.context.api.get<{ channels: readonly Busy[] }>('channels/busiest', {
        limit: 8,
      });
      fill(
        this.busiest,
        table(
          'Busiest channels',
          [
            {
              title: 'Channel',
              of: ({ channel }) => h('a', { href: linkTo('channels', { channel }) }, channel),
            },
            { title: 'Subscribers', isNumber: true, of: ({ subscribers }) => count(subscribers) },
          ],
          channels,
          'No channel has a subscriber.',
        ),
      );
    } catch {
      // Asked again soon; the state line of the page says what is wrong.
    }
  }
}

function isBrokerUp(sample: Sample): boolean {
  return sample.nodes.every(({ readings }) => readings['broker_up'] !== 0);
}

function countsTable(caption: string, counts: readonly (readonly [string, number])[]): HTMLElement {
  return table(
    `${caption}, last five minutes`,
    [
      { title: 'Reason', of: ([name]) => words(name) },
      { title: 'Times', isNumber: true, of: ([, times]) => count(times) },
    ],
    counts.slice(0, 8),
    'Nothing.',
  );
}
