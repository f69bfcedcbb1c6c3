-- Who works on a partition, what they hold, and what is kept there; changes nothing.
-- KEYS workers, results, rejects, orphans  ARGV prefix
-- -> {results kept, rejects kept, orphans, {worker, ms since it was heard, frames in its hands, …}}
local workers, results, rejects, orphans = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local heard = redis.call('ZRANGE', workers, 0, -1, 'WITHSCORES')
local lines = {}
for i = 1, #heard, 2 do
  lines[#lines + 1] = heard[i]
  lines[#lines + 1] = now_ms() - tonumber(heard[i + 1])
  lines[#lines + 1] = redis.call('HLEN', ARGV[1] .. 'held:' .. heard[i])
end
return {redis.call('XLEN', results), redis.call('XLEN', rejects), redis.call('HLEN', orphans), lines}
