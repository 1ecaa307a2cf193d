import { h, valuesOf } from './dom.js';

/** What a list is searched by: the name of a parameter, and its label. */
export type Filters = readonly (readonly [name: string, label: string])[];
type Values = Readonly<Record<string, string>>;

/** A form with a field for each filter, filled with what the address says. @param onSearch is given what is not empty. */
export function searchForm(
  id: string,
  filters: Filters,
  parameters: URLSearchParams,
  onSearch: (values: Values) => void,
): HTMLElement {
  const fields = filters.map(([name, label]) =>
    h(
      'div',
      { class: 'field' },
      h('label', { for: `${id}-${name}` }, label),
      h('input', {
        id: `${id}-${name}`,
        name,
        autocomplete: 'off',
        spellcheck: 'false',
        value: parameters.get(name) ?? '',
      }),
    ),
  );
  const submit = (event: Event): void => {
    event.preventDefault();
    onSearch(valuesOf(event.target));
  };
  return h('form', { class: 'search', onsubmit: submit }, ...fields, h('button', {}, 'Find'));
}

/** What the address says for the filters. */
export function valuesFor(filters: Filters, parameters: URLSearchParams): Values {
  return Object.fromEntries(
    filters.flatMap(([name]) => {
      const value = parameters.get(name);
      return value === null ? [] : [[name, value]];
    }),
  );
}
