/** Milliseconds that mean the same in every process of a machine. */
export const now = () => Number(process.hrtime.bigint()) / 1e6;
