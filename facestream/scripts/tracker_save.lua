-- Writes what one partition's tracker knows, and how far it has read, in one step; renews or ends its lease.
-- KEYS tracker  ARGV holder, lease_ms (0 ends it), position, incarnation, then of each camera: name, snapshot
-- ('' forgets it)
-- -> 1, or 0 when another has the lease
local key, holder, lease_ms, position, incarnation = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]

if redis.call('HGET', key, 'holder') ~= holder then return 0 end
allow_when_full(key)
for i = 5, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', key, 'camera:' .. ARGV[i])
  else
    redis.call('HSET', key, 'camera:' .. ARGV[i], ARGV[i + 1])
  end
end
redis.call('HSET', key, 'position', position, 'incarnation', incarnation)
if lease_ms > 0 then
  redis.call('HSET', key, 'until_ms', whole(now_ms() + lease_ms))
else
  redis.call('HDEL', key, 'holder', 'until_ms')
end
return 1
