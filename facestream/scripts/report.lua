-- Stores a producer's totals without a frame: its heartbeat, and its end.
-- KEYS ledger, frames  ARGV epoch, token, state ('open' or 'ended'), depth, lease_ms, captured, in_hand, drops
-- -> {'ok', room left, last seq} | {'forgotten'} | {'fenced', epoch now}
local ledger, frames = KEYS[1], KEYS[2]
local known = redis.call('HMGET', ledger, 'epoch', 'token', 'seq')
local known_epoch, epoch = tonumber(known[1]) or 0, tonumber(ARGV[1])
if known_epoch < epoch then return {'forgotten'} end
if known_epoch > epoch or known[2] ~= ARGV[2] then return {'fenced', known[1]} end

allow_when_full(ledger)
store_totals(ledger, ARGV[3] == 'ended' and 0 or tonumber(ARGV[5]), ARGV[6], ARGV[7], ARGV[8])
redis.call('HSET', ledger, 'state', ARGV[3])
local _, in_hand = cursor(frames)
local unread = redis.call('XLEN', frames) - in_hand
return {'ok', tonumber(ARGV[4]) - unread, tonumber(known[3])}
