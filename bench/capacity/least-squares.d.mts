export function leastSquares(rows: readonly (readonly number[])[], values: readonly number[]): number[];
