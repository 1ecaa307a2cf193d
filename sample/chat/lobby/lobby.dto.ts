import { IsString, Length } from 'class-validator';
import { Trim } from '../rooms/rooms.dto.js';

export class NewRoom {
  @Trim()
  @IsString()
  @Length(1, 40, { message: 'title must have $constraint1 to $constraint2 characters' })
  title!: string;
}
