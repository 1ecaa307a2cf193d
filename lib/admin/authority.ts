/** What a caller of the admin API may do: each authority includes those before it. */
export type AdminAuthority = 'read' | 'moderate' | 'administer';

/** From the least to the most. */
export const AUTHORITIES: readonly AdminAuthority[] = ['read', 'moderate', 'administer'];

/** Whether a caller with `held` may use what needs `needed`. What is no authority is none. */
export function includesAuthority(held: unknown, needed: AdminAuthority): boolean {
  const at = AUTHORITIES.indexOf(held as AdminAuthority);
  return at >= 0 && at >= AUTHORITIES.indexOf(needed);
}
