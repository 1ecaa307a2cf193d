const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
const whole = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { maximumFractionDigits: 1, notation: 'compact' });

export function count(value: number): string {
  return Math.abs(value) < 100_000 ? whole.format(Math.round(value)) : short.format(value);
}

/** Every digit: of a limit, a rounded one would be another. */
export function exact(value: number): string {
  return whole.format(value);
}

/** A number of things a second. */
export function rate(value: number): string {
  return `${value < 10 && value > 0 ? value.toFixed(1) : count(value)}/s`;
}

export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  while (size >= 1_024 && unit < UNITS.length - 1) {
    size /= 1_024;
    unit++;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`;
}

/** @param ms milliseconds. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

/** @param ts milliseconds since the Unix epoch. */
export function time(ts: number): string {
  const at = new Date(ts);
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? at.toLocaleTimeString() : at.toLocaleString();
}

/** Words of the library as people read them: `slow_consumer` is "slow consumer". */
export function words(name: string): string {
  return name.replaceAll('_', ' ').replaceAll('.', ': ');
}
