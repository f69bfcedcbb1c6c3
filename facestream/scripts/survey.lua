-- What waits of several cameras and how their producers stand, at one moment; changes nothing.
-- KEYS ledger and frames of each camera
-- -> {{unread, ms the oldest of these has waited or -1, ms left of the lease, then epoch, state, seq, holder,
--      earlier epochs as the ledger has them}, …}; {} for a camera whose keys hold something else
local FIELDS = {'epoch', 'state', 'seq', 'holder', 'epochs', 'lease_until_ms'}

local function waited_ms(frames, delivered)
  local oldest = redis.call('XRANGE', frames, '(' .. (delivered or '0-0'), '+', 'COUNT', 1)[1]
  return oldest and now_ms() - tonumber(string.match(oldest[1], '^%d+')) or -1
end

local function stand(ledger, frames)
  local delivered, in_hand = cursor(frames)
  local unread = redis.call('XLEN', frames) - in_hand
  local known = redis.call('HMGET', ledger, unpack(FIELDS))
  local lease_ms = (tonumber(known[6]) or 0) - now_ms()
  local line = {unread, unread > 0 and waited_ms(frames, delivered) or -1, lease_ms}
  for i = 1, 5 do line[3 + i] = known[i] or '' end
  return line
end

local lines = {}
for i = 1, #KEYS, 2 do
  local ok, line = pcall(stand, KEYS[i], KEYS[i + 1])
  lines[#lines + 1] = ok and line or {}
end
return lines
