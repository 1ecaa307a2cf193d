import type { Api } from './api.js';
import type { Samples } from './samples.js';

/** What a view works with. */
export interface ViewContext {
  readonly api: Api;
  readonly samples: Samples;
  /** Shows a sentence for a moment, for screen readers as well. */
  readonly notify: (text: string) => void;
}

/** A view that is shown. */
export interface ShownView {
  readonly element: HTMLElement;
  /** Ends what it follows. */
  end(): void;
}

/** A view of the page. */
export interface View {
  /** Names it in the address. */
  readonly id: string;
  readonly title: string;
  show(context: ViewContext, parameters: URLSearchParams): ShownView;
}

/** The address of a view. */
export function linkTo(view: string, parameters: Readonly<Record<string, string>> = {}): string {
  const query = new URLSearchParams(parameters).toString();
  return `#${view}${query === '' ? '' : `?${query}`}`;
}

/** Makes a sentence of an error. */
export function sentenceOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
