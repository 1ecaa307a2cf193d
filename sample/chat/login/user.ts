import type { RealtimeIdentity } from 'nestjs-realtime';

/** Who is connected, as `@RealtimeUser()` gives it: the claims of the token, with `sub` as `id`. */
export interface User extends RealtimeIdentity {
  /** The name in lower case: "ada". */
  readonly id: string;
  /** How it is shown: "Ada". */
  readonly name: string;
}

/** The user of a name. The id alone decides how a name is shown, so nobody can wear another's by spelling it differently. */
export function userNamed(name: string): User {
  const id = name.toLowerCase();
  return { id, name: id.replace(/(?<=^|[ -])\p{L}/gu, (letter) => letter.toUpperCase()) };
}
