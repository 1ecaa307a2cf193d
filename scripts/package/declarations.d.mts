export function declarationProblems(folder: string): string[];
