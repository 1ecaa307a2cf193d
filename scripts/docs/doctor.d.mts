import type { Check } from '../../lib/doctor/check.js';

export function renderDoctor(document: string, checks: readonly Check[]): string;
