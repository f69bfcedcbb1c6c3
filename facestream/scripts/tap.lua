-- Copies a published frame for whoever looks on or records, while somebody does. A full broker refuses the copy.
-- KEYS watch, record, tap
-- ARGV header, image, entries to keep for who looks on, for who records, seconds to keep them
-- -> 2 if somebody records, 1 if somebody only looks on, else 0
local watch, record, tap = KEYS[1], KEYS[2], KEYS[3]
local recorded = redis.call('EXISTS', record) == 1
if not recorded and redis.call('EXISTS', watch) == 0 then return 0 end
redis.call('XADD', tap, 'MAXLEN', recorded and ARGV[4] or ARGV[3], '*', 'h', ARGV[1], 'i', ARGV[2])
redis.call('EXPIRE', tap, ARGV[5])
return recorded and 2 or 1
