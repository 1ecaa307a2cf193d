import { createHash, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';

/** The password of the moderator. Without one nobody is the moderator. */
@Injectable()
export class ModeratorPassword {
  constructor(private readonly password: string | undefined) {}

  is(given: string | undefined): boolean {
    if (this.password === undefined || given === undefined) return false;
    // Of equal length, so that the time of the comparison tells nothing.
    return timingSafeEqual(digest(given), digest(this.password));
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
