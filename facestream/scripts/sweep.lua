-- Housekeeping of one partition, by whoever holds the lease: adopts what dead or stuck workers hold,
-- puts forgotten cameras back in line, keeps the results within their time and memory.
-- KEYS sweeper, workers, orphans, ready, cameras, results
-- ARGV prefix, worker, lease_ms, lapse_ms, stuck_ms, results_keep_ms, results_bytes, cursor
-- -> {next cursor, frames adopted, workers found dead, ms until the next worker lapses if it stays silent}
--    | {} when another worker has the lease
local sweeper, workers, orphans, ready, cameras, results = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local prefix, worker, lease_ms, lapse_ms, stuck_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local keep_ms, budget_bytes, from = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]

allow_when_full(orphans)
redis.call('ZADD', workers, whole(now_ms()), worker)
local owner = redis.call('GET', sweeper)
if owner and owner ~= worker then return {} end
redis.call('SET', sweeper, worker, 'PX', lease_ms)

local adopted = 0
local function adopt(field, attempts)
  redis.call('HSET', orphans, field, attempts)
  queue_up(ready, (split_held(field)))
  adopted = adopted + 1
end

local dead = redis.call('ZRANGEBYSCORE', workers, '-inf', whole(now_ms() - lapse_ms), 'LIMIT', 0, 100)
for _, name in ipairs(dead) do
  for field, attempts in pairs(read_hash(prefix .. 'held:' .. name)) do adopt(field, attempts) end
  redis.call('DEL', prefix .. 'held:' .. name)
  redis.call('ZREM', workers, name)
end

local alive = redis.call('ZRANGE', workers, 0, -1)
local function take_from_holder(field)
  for _, name in ipairs(alive) do
    local attempts = redis.call('HGET', prefix .. 'held:' .. name, field)
    if attempts then
      redis.call('HDEL', prefix .. 'held:' .. name, field)
      return attempts
    end
  end
  return 1
end

local page = redis.call('SSCAN', cameras, from, 'COUNT', 100)
for _, camera in ipairs(page[2]) do
  local frames = prefix .. 'frames:' .. camera
  local delivered = cursor(frames) or begin_group(frames) and '0-0'
  if delivered then
    local last_id = redis.call('HGET', prefix .. 'ledger:' .. camera, 'last_id')
    if last_id and last_id ~= delivered then queue_up(ready, camera) end
    local stuck = redis.call('XPENDING', frames, GROUP, 'IDLE', stuck_ms, '-', '+', 100)
    for _, pending in ipairs(stuck) do
      local field = name_held(camera, pending[1])
      if redis.call('HEXISTS', orphans, field) == 0 then adopt(field, take_from_holder(field)) end
    end
  end
end

redis.call('XTRIM', results, 'MINID', '~', whole(now_ms() - keep_ms))
local bytes = redis.call('MEMORY', 'USAGE', results, 'SAMPLES', 5)
if bytes and bytes > budget_bytes then
  redis.call('XTRIM', results, 'MAXLEN', '~', whole(redis.call('XLEN', results) * budget_bytes / bytes * 0.9))
end
-- The sweeper itself was heard of just now, so there is one.
local longest_silent = redis.call('ZRANGE', workers, 0, 0, 'WITHSCORES')
return {page[1], adopted, #dead, tonumber(longest_silent[2]) + lapse_ms - now_ms()}
