-- A worker says where its metrics are; of workers that are gone it is forgotten.
-- KEYS about, workers  ARGV worker, address
-- -> 1, or 0 where something else is kept
local about, workers = KEYS[1], KEYS[2]
local LOOKED_AT = 200

local kind = redis.call('TYPE', about)['ok']
if kind ~= 'hash' and kind ~= 'none' then return 0 end
allow_when_full(about)
-- A few at a time: whoever died is found within some turns, however many there are.
for _, name in ipairs(redis.call('HRANDFIELD', about, LOOKED_AT)) do
  if not redis.call('ZSCORE', workers, name) then redis.call('HDEL', about, name) end
end
redis.call('HSET', about, ARGV[1], ARGV[2])
return 1
