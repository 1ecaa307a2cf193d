export function undocumentedIn(report: string): { readonly exported: string[]; readonly others: string[] };
