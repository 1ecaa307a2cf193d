export type { DoctorFinding, DoctorLevel } from './check.js';
export { diagnose, type DoctorOptions } from './diagnose.js';
export type { DoctorTarget } from './open.js';
export type { DoctorReport } from './report.js';
