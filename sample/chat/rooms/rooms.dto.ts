import { Transform } from 'class-transformer';
import { IsBoolean, IsIn, IsInt, IsString, Length, Min } from 'class-validator';

export const Trim = () =>
  Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.trim() : value));

export class NewMessage {
  @Trim()
  @IsString()
  @Length(1, 500, { message: 'text must have $constraint1 to $constraint2 characters' })
  text!: string;
}

/** A message by its place in the room's log, which only the server assigns. */
export class MessageReference {
  @IsString()
  @Length(1, 64)
  epoch!: string;

  @IsInt()
  @Min(1)
  seq!: number;
}

export class Member {
  @IsString()
  @Length(1, 64)
  user!: string;
}

export class MutedMember extends Member {
  @IsBoolean()
  muted!: boolean;
}

/** The choices of the page, in milliseconds; 0 ends slow mode. */
const SLOW_MS = [0, 10_000, 30_000, 60_000];

export class SlowMode {
  @IsIn(SLOW_MS)
  everyMs!: number;
}
