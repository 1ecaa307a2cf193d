import { fill, h, table } from './dom.js';
import { time, words } from './format.js';
import { searchForm, valuesFor } from './search-form.js';
import { linkTo, sentenceOf, type ShownView, type View, type ViewContext } from './view.js';

interface Entry {
  readonly id: string;
  readonly ts: number;
  readonly node: string;
  readonly act: string;
  readonly by?: string;
  readonly whom?: { readonly of: string; readonly id: string };
  readonly channel?: string;
  readonly reason?: string;
  readonly result: string;
}

const FILTERS = [
  ['act', 'Act'],
  ['by', 'By'],
  ['whom', 'Whom'],
] as const;

export const AUDIT: View = {
  id: 'audit',
  title: 'Audit',
  show: (context, parameters) => new Audit(context, parameters),
};

class Audit implements ShownView {
  private readonly found = h('div');
  readonly element: HTMLElement;

  constructor(
    private readonly context: ViewContext,
    private readonly parameters: URLSearchParams,
  ) {
    this.element = h(
      'div',
      { class: 'view' },
      h('h2', {}, 'Audit'),
      searchForm('audit', FILTERS, parameters, (values) => this.search(values)),
      this.found,
    );
    void this.list();
  }

  end(): void {
    // Nothing is followed.
  }

  private search(given: Readonly<Record<string, string>>): void {
    const link = linkTo('audit', given);
    // The same search again is asked again.
    if (location.hash === link) void this.list();
    else location.hash = link;
  }

  private async list(): Promise<void> {
    const filter = valuesFor(FILTERS, this.parameters);
    try {
      const { entries, more } = await this.context.api.get<{ entries: readonly Entry[]; more?: string }>(
        'audit',
        {
          ...filter,
          limit: 100,
        },
      );
      fill(
        this.found,
        table(
          'What was done, newest first',
          [
            { title: 'When', of: ({ ts }) => time(ts) },
            { title: 'Act', of: ({ act }) => words(act) },
            {
              title: 'Whom',
              of: ({ whom }) =>
                whom === undefined
                  ? ''
                  : whom.of === 'user'
                    ? h('a', { href: linkTo('people', { user: whom.id }) }, whom.id)
                    : `${whom.of} ${whom.id}`,
            },
            { title: 'Channel', of: ({ channel }) => channel },
            { title: 'By', of: ({ by }) => by },
            { title: 'Reason', of: ({ reason }) => reason },
            {
              title: 'Result',
              of: ({ result }) =>
                h('span', { class: `state ${result === 'applied' ? 'good' : 'bad'}` }, result),
            },
          ],
          entries,
          'Nothing was done.',
        ),
        more !== undefined && h('p', {}, 'There are older ones: search more exactly.'),
      );
    } catch (error) {
      fill(this.found, h('p', { class: 'empty' }, sentenceOf(error)));
    }
  }
}
