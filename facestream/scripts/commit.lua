-- Ends a batch of frames: each as one result or one counted drop, whoever commits it first.
-- KEYS held, results, rejects, workers, results-added
-- ARGV prefix, worker, rejects kept, then of each frame: camera, entry id, drop reason ('' for a result), payload, held_us
-- -> how many of them ended here
local held, results, rejects, workers, added = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local prefix, worker, rejects_kept = ARGV[1], ARGV[2], ARGV[3]
local AGE_BOUNDS_MS = {5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000}

local now = now_ms()

-- What a batch adds to each ledger is written once, at the end.
local counts = {}
local function count(camera, field, amount)
  counts[camera] = counts[camera] or {}
  counts[camera][field] = (counts[camera][field] or 0) + amount
end

local function count_age(camera, id, held_us)
  local age_ms = now - tonumber(string.match(id, '^%d+')) + held_us / 1000
  local bucket = 'inf'
  for _, bound in ipairs(AGE_BOUNDS_MS) do
    if age_ms <= bound then bucket = bound; break end
  end
  count(camera, 'age:' .. bucket, 1)
  count(camera, 'age_sum_ms', math.max(0, math.floor(age_ms + 0.5)))
end

-- The second half of a result's id is its number among all results of the partition: whoever finds the next
-- one missing knows how many were trimmed. Where the clock went back, the broker's own id goes on counting.
local function publish(payloads)
  local before = redis.call('INCRBY', added, #payloads) - #payloads
  for i, payload in ipairs(payloads) do
    local id = whole(now) .. '-' .. whole(before + i)
    if not attempt(redis.call, 'XADD', results, id, 'r', payload) then
      redis.call('XADD', results, '*', 'r', payload)
    end
  end
end

local ended, published, let_go = 0, {}, {}
for i = 4, #ARGV, 5 do
  local camera, id, reason, payload, held_us = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], tonumber(ARGV[i + 4])
  if settle(prefix .. 'frames:' .. camera, id) then
    ended = ended + 1
    if reason == '' then
      published[#published + 1] = payload
      count(camera, 'results', 1)
      count_age(camera, id, held_us)
    else
      redis.call('XADD', rejects, 'MAXLEN', '~', rejects_kept, '*', 'r', payload)
      count(camera, 'drop:' .. reason, 1)
    end
  end
  let_go[#let_go + 1] = name_held(camera, id)
end
if #published > 0 then publish(published) end
if #let_go > 0 then redis.call('HDEL', held, unpack(let_go)) end
for camera, fields in pairs(counts) do
  for field, amount in pairs(fields) do add(prefix .. 'ledger:' .. camera, field, amount) end
end
redis.call('ZADD', workers, whole(now), worker)
return ended
