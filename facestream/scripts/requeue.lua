-- Puts a camera that was popped for nobody back at the head of the line.
-- KEYS ready  ARGV camera
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return redis.call('ZADD', KEYS[1], 'NX', (tonumber(first[2]) or 1) - 1, ARGV[1])
