/**
 * The factors, none below 0, with which the columns of `rows` come closest to `values`: weighted so that a small value
 * counts as much as a large one. Ordinary least squares by the normal equations; a factor that would be negative is 0.
 *
 * @param {readonly (readonly number[])[]} rows
 * @param {readonly number[]} values each above 0.
 */
export function leastSquares(rows, values) {
  const width = rows[0].length;
  let columns = Array.from({ length: width }, (_, column) => column);
  for (;;) {
    const weighted = rows.map((row, index) => columns.map((column) => row[column] / values[index]));
    const factors = solve(
      columns.map((_, left) => columns.map((__, right) => sum(weighted, (row) => row[left] * row[right]))),
      columns.map((_, left) => sum(weighted, (row) => row[left])),
    );
    const worst = factors.indexOf(Math.min(...factors));
    if (factors[worst] >= 0) {
      const all = Array(width).fill(0);
      columns.forEach((column, index) => (all[column] = factors[index]));
      return all;
    }
    columns = columns.filter((_, index) => index !== worst);
  }
}

function sum(rows, of) {
  return rows.reduce((total, row) => total + of(row), 0);
}

/** Gauss with partial pivoting. */
function solve(matrix, right) {
  const rows = matrix.map((row, index) => [...row, right[index]]);
  for (let pivot = 0; pivot < rows.length; pivot++) {
    let best = pivot;
    for (let row = pivot + 1; row < rows.length; row++)
      if (Math.abs(rows[row][pivot]) > Math.abs(rows[best][pivot])) best = row;
    [rows[pivot], rows[best]] = [rows[best], rows[pivot]];
    for (let row = 0; row < rows.length; row++) {
      if (row === pivot) continue;
      const factor = rows[row][pivot] / rows[pivot][pivot];
      for (let column = pivot; column <= rows.length; column++)
        rows[row][column] -= factor * rows[pivot][column];
    }
  }
  return rows.map((row, index) => row[rows.length] / row[index]);
}
