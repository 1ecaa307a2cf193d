export function circlesOf(sources: ReadonlyMap<string, string>): readonly (readonly string[])[];
