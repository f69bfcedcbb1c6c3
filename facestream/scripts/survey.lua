-- What waits of several cameras and how their producers stand, at one moment; changes nothing.
-- KEYS ledger, frames and unread of each camera
-- -> {{unread, ms the oldest of these has waited or -1, ms left of the lease, then epoch, state, seq, holder,
--      earlier epochs as the ledger has them}, …}; {} for a camera whose keys hold something else
local FIELDS = {'epoch', 'state', 'seq', 'holder', 'epochs', 'lease_until_ms'}

local function waited_ms(unread_ids, unread)
  local oldest = oldest_unread(unread_ids, unread)
  return oldest and now_ms() - tonumber(string.match(oldest, '^%d+')) or -1
end

local function stand(ledger, frames, unread_ids)
  local _, in_hand = cursor(frames)
  local unread = redis.call('XLEN', frames) - in_hand
  local known = redis.call('HMGET', ledger, unpack(FIELDS))
  local lease_ms = (tonumber(known[6]) or 0) - now_ms()
  local line = {unread, waited_ms(unread_ids, unread), lease_ms}
  for i = 1, 5 do line[3 + i] = known[i] or '' end
  return line
end

local lines = {}
for i = 1, #KEYS, 3 do
  local ok, line = attempt(stand, KEYS[i], KEYS[i + 1], KEYS[i + 2])
  lines[#lines + 1] = ok and line or {}
end
return lines
