import { CONTINUITY } from './continuity.js';
import { PRELUDE } from './prelude.js';
import { RedisScript } from './script.js';

/**
 * Reads the records that hold a range of a log, bounded in events and bytes, and says in which epoch it read (G6). The first
 * record is there however large it is; the answer ends before another that would not fit.
 *
 * KEYS: head, stream, origin. ARGV: token, head (ms), epoch or '', from, until or '', limit, '1' for reverse, bytes.
 * Returns epoch, tip, 1 or 0 for continuous, oldest, the server's time; then `seq` of the first event, `ts` and events of each record, in the
 * order asked. The first and the last record may hold more than was asked for.
 */
export const READ = new RedisScript(
  `${PRELUDE}${CONTINUITY}
local log = open(KEYS[1], KEYS[3], ARGV[1], ARGV[2])
log.stream = KEYS[2]
keep(log)
local from, limit, bytes = tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[8])
local reverse = ARGV[7] == '1'
local kept = dropAged(log)
local oldest = kept and math.max(oldestWithin(log, kept), log.s - log.z + 1) or log.s + 1
-- What the bounds dropped is looked for once.
if kept and oldest > span(kept) then redis.pcall('XTRIM', log.stream, 'MINID', int(oldest)) end

if not holds(log, ARGV[3], from - 1) then return { log.e, log.s, 0, oldest } end
local low, high = math.max(from, oldest), log.s
if ARGV[5] ~= '' then high = math.min(tonumber(ARGV[5]), high) end
local out = { log.e, log.s, 1, oldest, now }

local full = false
local function take(record)
  local first, last = span(record)
  local text = record[2][4]
  if #text > bytes and #out > 5 then
    full = true
    return
  end
  out[#out + 1], out[#out + 2], out[#out + 3] = first, record[2][2], text
  bytes = bytes - #text
  limit = limit - (math.min(last, high) - math.max(first, low) + 1)
  if reverse then high = first - 1 else low = last + 1 end
end

if reverse and low <= high then
  -- The record of the last event wanted may end behind it.
  local record = recordAt(log, high)
  if record then take(record) else high = low - 1 end
end
-- Small records are read in a few commands, and of large ones little more than what fits.
local count = 4
while limit > 0 and not full and low <= high do
  local chunk = reverse and redis.call('XREVRANGE', log.stream, int(high), int(low), 'COUNT', count)
    or redis.call('XRANGE', log.stream, int(low), '+', 'COUNT', count)
  if #chunk == 0 then break end
  for _, record in ipairs(chunk) do
    if full or limit <= 0 or low > high then break end
    take(record)
  end
  count = math.min(2 * count, 16)
end
return out
`,
);
