-- Who among the producers is alive, by the broker's clock; one of them may say that it is, or that it leaves.
-- KEYS producers  ARGV lapse_ms, producers at most, 'beat' | 'leave' | '', producer
-- -> names heard of within lapse_ms; one that claims to come from the future is not alive
local key, lapse_ms, limit, action = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local FORGET_MS = 60000

local kind = redis.call('TYPE', key)['ok']
if kind ~= 'zset' and kind ~= 'none' then return {} end
local now = now_ms()
if action ~= '' then
  -- The first write only frees, so that the rest passes while the broker is full.
  redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now - FORGET_MS))
  redis.call('ZREMRANGEBYSCORE', key, whole(now + lapse_ms), '+inf')
end
if action == 'beat' then
  redis.call('ZADD', key, whole(now), ARGV[4])
  redis.call('ZREMRANGEBYRANK', key, 0, -limit - 1)
elseif action == 'leave' then
  redis.call('ZREM', key, ARGV[4])
end
return redis.call('ZRANGEBYSCORE', key, whole(now - lapse_ms), whole(now + lapse_ms), 'LIMIT', 0, limit)
