-- Who among the producers is alive, by the broker's clock; changes nothing.
-- KEYS producers  ARGV lapse_ms, producers at most
-- -> names heard of within lapse_ms; one that claims to come from the future is not alive
if redis.call('TYPE', KEYS[1])['ok'] ~= 'zset' then return {} end
local now, lapse_ms = now_ms(), tonumber(ARGV[1])
return redis.call('ZRANGEBYSCORE', KEYS[1], whole(now - lapse_ms), whole(now + lapse_ms), 'LIMIT', 0, ARGV[2])
