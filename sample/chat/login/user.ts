import type { RealtimeIdentity } from 'nestjs-realtime';

/** The connected user, as `@RealtimeUser()` returns it: the claims of the token, with `sub` as `id`. */
export interface User extends RealtimeIdentity {
  /** The name in lower case: "ada". */
  readonly id: string;
  /** How it is shown: "Ada". */
  readonly name: string;
}

/** The user of a name. The shown name depends only on the id, so no user can look like another by a different spelling. */
export function userNamed(name: string): User {
  const id = name.toLowerCase();
  return { id, name: id.replace(/(?<=^|[ -])\p{L}/gu, (letter) => letter.toUpperCase()) };
}
