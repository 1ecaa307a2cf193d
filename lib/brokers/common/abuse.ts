import type { AbuseRecord, ControlMessage } from '../../core/ports/control.js';

/** By what a ban for abuse is kept. */
export function abuseKey(of: AbuseRecord['of'], id: string): string {
  return `${of} ${id}`;
}

/** The ban for abuse that ends with an administrator's act about the same user or address. @returns its {@link abuseKey}. */
export function actOnAbuse(message: ControlMessage): string | undefined {
  if (message.kind === 'ban' || message.kind === 'unban') return abuseKey('user', message.user);
  if (message.kind !== 'restrict' && message.kind !== 'lift') return undefined;
  const { act, whom, channel } = message;
  if (act !== 'ban' || channel !== undefined || (whom.of !== 'user' && whom.of !== 'address'))
    return undefined;
  return abuseKey(whom.of, whom.id);
}
