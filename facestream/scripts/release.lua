-- Gives back all that a worker holds; handing back is no attempt.
-- KEYS held, orphans, ready, workers  ARGV worker, leaving ('1' or '')  -> how many frames
local held, orphans, ready, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
allow_when_full(held)
local holding = read_hash(held)
local released = 0
for field, attempts in pairs(holding) do
  redis.call('HSET', orphans, field, math.max(0, (tonumber(attempts) or 1) - 1))
  queue_up(ready, (split_held(field)))
  released = released + 1
end
redis.call('DEL', held)
if ARGV[2] == '1' then
  redis.call('ZREM', workers, ARGV[1])
else
  redis.call('ZADD', workers, whole(now_ms()), ARGV[1])
end
return released
