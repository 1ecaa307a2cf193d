import { fill, h, table } from './dom.js';
import { bytes, count, duration, exact, words } from './format.js';
import { sentenceOf, type ShownView, type View, type ViewContext } from './view.js';

interface Limits {
  readonly node: string;
  readonly limits: Readonly<Record<string, unknown>>;
  readonly outbox: Readonly<Record<string, unknown>>;
  readonly abuse: Readonly<Record<string, unknown>>;
}

export const LIMITS: View = {
  id: 'limits',
  title: 'Limits',
  show: (context) => new LimitsView(context),
};

class LimitsView implements ShownView {
  private readonly refused = h('div');
  private readonly set = h('div');
  readonly element = h('div', { class: 'view' }, h('h2', {}, 'Limits'), this.refused, this.set);
  private readonly unfollow: () => void;

  constructor(private readonly context: ViewContext) {
    this.unfollow = context.samples.onChange(() => this.update());
    this.update();
    void this.ask();
  }

  end(): void {
    this.unfollow();
  }

  private update(): void {
    const totals = new Map<string, number>();
    for (const { readings } of this.context.samples.last?.nodes ?? [])
      for (const [name, value] of Object.entries(readings))
        if (name.startsWith('refused:') || name.startsWith('lost:'))
          totals.set(name, (totals.get(name) ?? 0) + value);
    fill(
      this.refused,
      table(
        'What the limits refused, since each node began',
        [
          {
            title: 'What',
            of: ([name]) => words(name.replace(/^refused:/, '').replace(/^lost:/, 'not delivered.')),
          },
          { title: 'Times', isNumber: true, of: ([, times]) => count(times) },
        ],
        [...totals].sort(([, one], [, other]) => other - one),
        'Nothing was refused.',
      ),
    );
  }

  private async ask(): Promise<void> {
    try {
      const { node, limits, outbox, abuse } = await this.context.api.get<Limits>('limits');
      const rows = Object.entries({
        ...prefixed('limits', limits),
        ...prefixed('outbox', outbox),
        ...prefixed('abuse', abuse),
      });
      fill(
        this.set,
        table(
          `Limits of ${node}`,
          [
            { title: 'Option', of: ([name]) => h('code', {}, name) },
            {
              title: 'Value',
              isNumber: true,
              of: ([name, value]) => limitOf(name, value),
            },
          ],
          rows,
          'None.',
        ),
      );
    } catch (error) {
      fill(this.set, h('p', { class: 'empty' }, sentenceOf(error)));
    }
  }
}

/** With the unit that the name has, where that is easier to read. */
function limitOf(name: string, value: unknown): string {
  if (value === null || value === undefined) return 'none';
  if (typeof value !== 'number') return JSON.stringify(value);
  if (/Bytes/.test(name) && value >= 1_024) return `${exact(value)} (${bytes(value)})`;
  if (/Ms$/.test(name) && value >= 1_000) return `${exact(value)} (${duration(value)})`;
  return exact(value);
}

function prefixed(
  prefix: string,
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}.${name}`, value]));
}
