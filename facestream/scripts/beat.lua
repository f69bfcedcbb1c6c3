-- A producer says that it is alive, by the broker's clock, or that it leaves; passes while the broker is full.
-- KEYS producers  ARGV lapse_ms, producers at most, 'beat' | 'leave', producer
-- -> 1, or 0 where something else is kept
local key, lapse_ms, limit, action, producer = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local FORGET_MS = 60000

local kind = redis.call('TYPE', key)['ok']
if kind ~= 'zset' and kind ~= 'none' then return 0 end
-- The first write only frees, so that the rest passes.
local now = now_ms()
redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now - FORGET_MS))
redis.call('ZREMRANGEBYSCORE', key, whole(now + lapse_ms), '+inf')
if action == 'leave' then
  redis.call('ZREM', key, producer)
else
  redis.call('ZADD', key, whole(now), producer)
  redis.call('ZREMRANGEBYRANK', key, 0, -limit - 1)
end
return 1
