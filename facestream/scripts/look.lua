-- A camera's ledger and what is really in the broker, at one moment; changes nothing.
-- KEYS ledger, frames, unread
-- -> {frames in the stream, of these in hand, id of the oldest, ledger as a flat list}
local ledger, frames, unread_ids = KEYS[1], KEYS[2], KEYS[3]
local _, in_hand = cursor(frames)
local length = redis.call('XLEN', frames)
local oldest
if in_hand > 0 then
  oldest = redis.call('XPENDING', frames, GROUP)[2]
else
  oldest = oldest_unread(unread_ids, length)
end
return {length, in_hand, oldest or '', redis.call('HGETALL', ledger)}
