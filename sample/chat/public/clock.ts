const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

export const timeOf = (ts: number): string => time.format(ts);

/** "Today", "Yesterday", or the date. */
export function dayOf(ts: number): string {
  const days = Math.round((midnight(ts) - midnight(Date.now())) / 86_400_000);
  const text = days > -2 ? relative.format(days, 'day') : day.format(ts);
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function midnight(ts: number): number {
  return new Date(ts).setHours(0, 0, 0, 0);
}

/** How long, for people: "12 s", "5 min". */
export function lengthOf(ms: number): string {
  return ms < 60_000 ? `${Math.ceil(ms / 1_000)} s` : `${Math.ceil(ms / 60_000)} min`;
}
