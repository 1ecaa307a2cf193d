/**
 * Whether a position is one of a log still: in its epoch of now, or in one that it continues, up to where that was true.
 *
 * To be used behind the prelude. `log` is as `open` gives it.
 */
export const CONTINUITY = `
local function holds(log, epoch, seq)
  if epoch == '' or epoch == log.e then return seq <= log.s end
  for name, last in string.gmatch(log.f, '([^:,]+):(%d+)') do
    if name == epoch and seq <= tonumber(last) then return true end
    -- Nothing comes before the first event, under whichever incarnation a client was told so.
    if seq == 0 and baseOf(name) == baseOf(epoch) then return true end
  end
  return seq == 0 and baseOf(log.e) == baseOf(epoch)
end
`;
