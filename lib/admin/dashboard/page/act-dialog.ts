import { byId, fill, h, valuesOf } from './dom.js';
import { sentenceOf } from './view.js';

/** A field of the dialog beside the reason. */
export interface ActField {
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  readonly isRequired?: boolean;
}

/** What is to be confirmed. */
export interface Act {
  readonly title: string;
  readonly text: string;
  readonly button: string;
  readonly fields?: readonly ActField[];
  /** Does it. What it rejects with is shown, and the dialog stays. @param values of the fields, and `reason`; without the empty ones. */
  readonly run: (values: Readonly<Record<string, string>>) => Promise<string>;
}

/** Asks before an act on somebody, and for a reason, which the audit keeps. */
export function confirmAct(act: Act, notify: (text: string) => void): void {
  const dialog = byId('dialog', HTMLDialogElement);
  const problem = h('p', { class: 'bad', role: 'alert' });
  const fields = [...(act.fields ?? []), { name: 'reason', label: 'Reason, for the audit' }].map(fieldOf);
  const button = h('button', { class: 'danger' }, act.button);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    button.disabled = true;
    try {
      const done = await act.run(valuesOf(event.target));
      dialog.close();
      notify(done);
    } catch (error) {
      fill(problem, sentenceOf(error));
    } finally {
      button.disabled = false;
    }
  };
  fill(
    dialog,
    h(
      'form',
      { onsubmit: (event) => void submit(event) },
      h('h2', { id: 'dialog-title' }, act.title),
      h('p', {}, act.text),
      ...fields,
      problem,
      h(
        'p',
        { class: 'buttons' },
        h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'),
        button,
      ),
    ),
  );
  dialog.showModal();
}

function fieldOf({ name, label, hint, isRequired }: ActField): HTMLElement {
  const id = `act-${name}`;
  return h(
    'div',
    { class: 'field' },
    h('label', { for: id }, label),
    h('input', { id, name, autocomplete: 'off', required: isRequired, placeholder: hint, maxlength: 255 }),
  );
}
