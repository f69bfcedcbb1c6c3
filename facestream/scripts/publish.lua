-- Publishes one frame, if it is the next of its epoch, and stores its producer's totals.
-- KEYS ledger, frames, ready, cameras, unread
-- ARGV camera, epoch, token, seq, live ('1' or ''), depth, said, lease_ms, captured, in_hand, drops,
--      header, image, holder, fingerprint
-- -> {'ok' | 'done', room left, '1' if the epoch was forgotten} | {'rewind', seq wanted} | {'fenced', epoch now}
--    | {'ahead', last seq}: a frame of a live source that its producer has given up has this number
--    | {'late'}: its producer has said something newer
local ledger, frames, ready, cameras, unread_ids = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local camera, epoch, token, seq, live, depth =
  ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6])

local SPARE_IDS = 32

local said = tonumber(ARGV[7])
local known = redis.call('HMGET', ledger, 'epoch', 'token', 'seq', 'said', 'sent', 'published', 'last_id')
local known_epoch, last = tonumber(known[1]) or 0, tonumber(known[3]) or -1
local forgotten = known_epoch < epoch
if forgotten then last = -1 end
if known_epoch > epoch or (not forgotten and known[2] ~= token) then return {'fenced', known[1]} end
if not forgotten and said < (tonumber(known[4]) or 0) then return {'late'} end
if seq <= last and live and said ~= tonumber(known[5]) then return {'ahead', last} end
if seq > last + 1 and not live then return {'rewind', last + 1} end

local published = seq > last
local totals = totals_to_store(said, tonumber(ARGV[8]), ARGV[9], ARGV[10], ARGV[11])
local listed = 0
if published then
  local id = redis.call('XADD', frames, '*', 'h', ARGV[12], 'i', ARGV[13])
  if forgotten then reopen_epoch(ledger, cameras, camera, ARGV[2], token, ARGV[14], ARGV[15]) end
  local lost = seq - last - 1
  if lost > 0 then add(ledger, 'drop:lost_in_broker', lost) end
  redis.call('HSET', ledger, 'published', whole((tonumber(known[6]) or 0) + lost + 1), 'seq', seq, 'sent', said,
    'last_id', id, unpack(totals))
  listed = redis.call('RPUSH', unread_ids, id)
  queue_up(ready, camera)
else
  allow_when_full(ledger)
  redis.call('HSET', ledger, unpack(totals))
end

-- No more can be unread than are there: only where that is too many is it worth asking how many are in hand.
-- Where this is not the first entry there is a group; one that was deleted since is for who takes to begin anew.
local length = redis.call('XLEN', frames)
if published and known[7] and length < depth then
  if listed > length + SPARE_IDS then redis.call('LTRIM', unread_ids, -length, -1) end
  return {'ok', depth - length, ''}
end

local delivered, in_hand = cursor(frames)
if published and not delivered then
  redis.call('XGROUP', 'CREATE', frames, GROUP, '0')
  delivered = '0-0'
end
local unread = length - in_hand
if published then redis.call('LTRIM', unread_ids, -math.max(1, unread), -1) end
while live and published and unread > depth do
  local oldest = redis.call('LPOP', unread_ids)
  if not oldest then break end
  -- A stranger's entries are unread and not on the list: then its first ids may be in a worker's hands.
  if is_after(oldest, delivered) and redis.call('XDEL', frames, oldest) == 1 then
    add(ledger, 'drop:trimmed_unread', 1)
    unread = unread - 1
  end
end
return {published and 'ok' or 'done', depth - unread, forgotten and '1' or ''}
