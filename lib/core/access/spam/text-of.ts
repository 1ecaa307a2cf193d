/** Fields that have the text of a message, where they are texts. */
const TEXT_FIELDS = ['text', 'message', 'body', 'content', 'msg'];
/** Characters that are taken of a payload, and values that are looked at for them. */
const MAX_CHARACTERS = 8_192;
const MAX_VALUES = 256;

/**
 * The text of a payload: the payload itself, the field that has it by its name, or else all texts in it; `''` without any. Not
 * recursive: a client chooses how deep its payload is.
 */
export function textOf(payload: unknown): string {
  if (typeof payload === 'string') return payload.slice(0, MAX_CHARACTERS);
  if (typeof payload !== 'object' || payload === null || ArrayBuffer.isView(payload)) return '';
  for (const field of TEXT_FIELDS) {
    const value = Object.hasOwn(payload, field) ? (payload as Record<string, unknown>)[field] : undefined;
    if (typeof value === 'string') return value.slice(0, MAX_CHARACTERS);
  }
  const open: unknown[] = [payload];
  let text = '';
  for (let looked = 0; open.length > 0 && looked < MAX_VALUES && text.length < MAX_CHARACTERS; looked++) {
    const value = open.shift();
    if (typeof value === 'string') text = text === '' ? value : `${text} ${value}`;
    else if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value))
      open.push(...(Object.values(value) as unknown[]).slice(0, MAX_VALUES));
  }
  return text.slice(0, MAX_CHARACTERS);
}
