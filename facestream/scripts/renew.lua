-- Keeps a producer's lease while it has no frame to publish: its camera is away, or the broker is full.
-- KEYS ledger  ARGV epoch, token, lease_ms  -> 1, or 0 when the camera is not this producer's any more
local known = redis.call('HMGET', KEYS[1], 'epoch', 'token')
if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then return 0 end
allow_when_full(KEYS[1])
redis.call('HSET', KEYS[1], 'lease_until_ms', whole(now_ms() + tonumber(ARGV[3])))
return 1
