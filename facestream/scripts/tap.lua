-- Copies a published frame for whoever looks on, while somebody does. A full broker refuses the copy.
-- KEYS watch, tap
-- ARGV header, image, entries to keep, seconds to keep them
-- -> 1 if somebody looks on, else 0
local watch, tap = KEYS[1], KEYS[2]
if redis.call('EXISTS', watch) == 0 then return 0 end
redis.call('XADD', tap, 'MAXLEN', ARGV[3], '*', 'h', ARGV[1], 'i', ARGV[2])
redis.call('EXPIRE', tap, ARGV[4])
return 1
