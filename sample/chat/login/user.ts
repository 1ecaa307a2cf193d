import type { RealtimeIdentity } from 'nestjs-realtime';

/** The id of the one account with a password. */
export const MODERATOR = 'moderator';

/** The connected user, as `@RealtimeUser()` returns it: the claims of the token, with `sub` as `id`. */
export interface User extends RealtimeIdentity {
  /** The name in lower case: "ada". */
  readonly id: string;
  /** How it is shown: "Ada". */
  readonly name: string;
  /** Absent for everybody else. */
  readonly role?: typeof MODERATOR;
}

/** The user of a name. The shown name depends only on the id, so no user can look like another by a different spelling. */
export function userNamed(name: string): User {
  const id = name.toLowerCase();
  const shown = id.replace(/(?<=^|[ -])\p{L}/gu, (letter) => letter.toUpperCase());
  return { id, name: shown, ...(id === MODERATOR ? { role: MODERATOR } : {}) };
}

/** Whether it is the moderator of the whole chat. By the claim that the log-in signed, not by a name. */
export function isModerator(user: RealtimeIdentity): boolean {
  return user['role'] === MODERATOR;
}
