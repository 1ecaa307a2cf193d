export function contentProblems(folder: string): readonly string[];
export function filesIn(folder: string): readonly string[];
