/** Most characters of a text that are logged, unless a line needs more. */
const MOST_CHARACTERS = 200;
/** Most characters of the reason of an act that are logged. */
export const MAX_REASON_SHOWN = 512;

/** A text that others chose, as a line of the log has it: it must neither fill the log nor forge a line of it. */
export function quoted(text: string, most = MOST_CHARACTERS): string {
  const shown = printable(JSON.stringify(text.slice(0, most)));
  return text.length > most ? `${shown}… (${text.length} characters)` : shown;
}

/** The same JSON in characters that print: JSON does not escape C1 controls, line separators and direction marks. */
export function printable(json: string): string {
  return json.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escapeUnits);
}

function escapeUnits(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** User and password of an address, with the end of its scheme before them. */
const USERINFO = /:\/\/[^\s/?#"<>]*@/g;

/** The same text, where an address in it has neither its user nor its password: for logs, metrics and reports (G23). */
export function withoutUserinfo(text: string): string {
  return text.includes('://') ? text.replace(USERINFO, '://***@') : text;
}
