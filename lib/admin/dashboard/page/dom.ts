type Child = Node | string | number | undefined | null | false;
type Value = string | number | boolean | ((event: Event) => void) | undefined;

/**
 * Makes an element. Names that begin with `on` are listeners; `true` sets an empty attribute, `false` and `undefined` none. Children that
 * are texts stay texts, whatever is in them.
 */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, Value>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

/** Shows other children in an element. */
export function fill(element: Element, ...children: readonly Child[]): void {
  element.replaceChildren();
  append(element, children);
}

/** What is written in the fields of a form, without what is empty. */
export function valuesOf(form: EventTarget | null): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  if (form instanceof HTMLFormElement)
    for (const [name, value] of new FormData(form))
      if (typeof value === 'string' && value.trim() !== '') values[name] = value.trim();
  return values;
}

/** The element of the page with an id. */
export function byId<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`The page has no ${kind.name} with the id "${id}"`);
}

/** What a column of {@link table} shows of a row. */
export interface Column<Row> {
  readonly title: string;
  /** Numbers stand at the right. */
  readonly isNumber?: boolean;
  readonly of: (row: Row) => Child;
}

/** A table with a caption, in a box that scrolls by itself where the window is narrow. */
export function table<Row>(
  caption: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  empty: string,
): HTMLElement {
  const head = columns.map(({ title, isNumber }) =>
    h('th', { scope: 'col', class: isNumber === true ? 'number' : undefined }, title),
  );
  const body = rows.map((row) =>
    h(
      'tr',
      {},
      ...columns.map(({ of, isNumber }) =>
        h('td', { class: isNumber === true ? 'number' : undefined }, of(row)),
      ),
    ),
  );
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    h('table', {}, h('caption', {}, caption), h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...body)),
    rows.length === 0 && h('p', { class: 'empty' }, empty),
  );
}

function append(element: Element, children: readonly Child[]): void {
  for (const child of children)
    if (child !== undefined && child !== null && child !== false)
      element.append(child instanceof Node ? child : String(child));
}
