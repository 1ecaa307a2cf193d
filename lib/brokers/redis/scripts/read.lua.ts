import { PRELUDE } from './prelude.lua.js';
import { RedisScript } from './script.js';

/**
 * Reads a range of a log, bounded in events and bytes, and proves on which incarnation it read (G6).
 *
 * KEYS: head, stream. ARGV: token, head (ms), epoch or '', from, until or '', limit, '1' for reverse, bytes.
 * Answers epoch, tip, 1 or 0 for continuous, oldest; then `seq`, `ts` and body of each event.
 */
export const READ = new RedisScript(
  'read',
  `${PRELUDE}
local log = open(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
trimByAge(log)
local from, limit, bytes = tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[8])
local reverse = ARGV[7] == '1'
local oldest = log.oldest or log.s + 1

local function holds(epoch, seq)
  if epoch == '' or epoch == log.e then return seq <= log.s end
  for name, last in string.gmatch(log.f, '([^:,]+):(%d+)') do
    if name == epoch and seq <= tonumber(last) then return true end
  end
  return false
end

if not holds(ARGV[3], from - 1) then return { log.e, log.s, 0, oldest } end
local low = math.max(from, oldest)
local high = log.s
if ARGV[5] ~= '' then high = math.min(tonumber(ARGV[5]), high) end
local out = { log.e, log.s, 1, oldest }
while limit > 0 and bytes > 0 and low <= high do
  local count = math.min(limit, 64)
  local chunk = reverse and redis.call('XREVRANGE', log.stream, int(high), int(low), 'COUNT', count)
    or redis.call('XRANGE', log.stream, int(low), int(high), 'COUNT', count)
  if #chunk == 0 then break end
  for _, entry in ipairs(chunk) do
    if bytes <= 0 then break end
    local seq, body = seqOf(entry), entry[2][4]
    out[#out + 1], out[#out + 2], out[#out + 3] = seq, entry[2][2], body
    bytes = bytes - #body
    limit = limit - 1
    if reverse then high = seq - 1 else low = seq + 1 end
  end
end
return out
`,
);
