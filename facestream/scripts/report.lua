-- Stores a producer's totals without a frame: its heartbeat, and its end. But first they agree on the last
-- frame: no totals are stored beside a count of frames that they do not fit.
-- KEYS ledger, frames, cameras
-- ARGV camera, epoch, token, last seq, live ('1' or ''), depth, said, lease_ms, captured, in_hand, drops,
--      state ('open' or 'ended'), holder, fingerprint
-- -> {'ok', room left, '1' if the epoch was forgotten} | {'rewind', seq wanted} | {'fenced', epoch now}
--    | {'ahead', last seq}: a frame that its producer has given up is here
--    | {'late'}: its producer has said something newer
local ledger, frames, cameras = KEYS[1], KEYS[2], KEYS[3]
local camera, epoch, token, seq, live, state =
  ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1', ARGV[12]

local said = tonumber(ARGV[7])
local known = redis.call('HMGET', ledger, 'epoch', 'token', 'seq', 'said')
local known_epoch, last = tonumber(known[1]) or 0, tonumber(known[3]) or -1
local forgotten = known_epoch < epoch
if forgotten then last = -1 end
if known_epoch > epoch or (not forgotten and known[2] ~= token) then return {'fenced', known[1]} end
if not forgotten and said < (tonumber(known[4]) or 0) then return {'late'} end
if seq > last and not live then return {'rewind', last + 1} end
if seq < last then return {'ahead', last} end

allow_when_full(ledger)
if forgotten then reopen_epoch(ledger, cameras, camera, ARGV[2], token, ARGV[13], ARGV[14]) end
if seq > last then
  book_lost(ledger, seq - last)
  redis.call('HSET', ledger, 'seq', seq)
end
local lease_ms = state == 'ended' and 0 or tonumber(ARGV[8])
redis.call('HSET', ledger, 'state', state,
  unpack(totals_to_store(said, lease_ms, ARGV[9], ARGV[10], ARGV[11])))
local _, in_hand = cursor(frames)
return {'ok', tonumber(ARGV[6]) - (redis.call('XLEN', frames) - in_hand), forgotten and '1' or ''}
