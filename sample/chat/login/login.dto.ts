import { Transform } from 'class-transformer';
import { IsOptional, IsString, Length, Matches } from 'class-validator';

export class Login {
  @Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' ? value.normalize('NFC').trim().replace(/\s+/g, ' ') : value,
  )
  @Matches(/^[\p{L}\p{N}][\p{L}\p{M}\p{N} .'-]{0,23}$/u, {
    message: 'name must be 1 to 24 letters and digits, and begin with one',
  })
  name!: string;

  /** Of the moderator. */
  @IsOptional()
  @IsString()
  @Length(1, 200)
  password?: string;
}
