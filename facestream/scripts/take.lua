-- Hands a worker its next frames: those it holds already, when the last reply was lost on its way; else
-- one that somebody dropped, alone; else one of each camera in turn.
-- KEYS held, orphans, ready, workers
-- ARGV prefix, worker, batch, camera already popped ('' for none), header bytes and image bytes at most,
--      bytes of pictures after which a batch is full
-- -> {{camera, entry id, attempts, header, image, image bytes}, …}; an image over the limit is left out
local held, orphans, ready, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix, worker, batch, popped = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local header_limit, image_limit, bytes_left = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local DROPS_PER_CALL = 256

allow_when_full(held)
redis.call('ZADD', workers, whole(now_ms()), worker)

local function frames_of(camera) return prefix .. 'frames:' .. camera end
local function ledger_of(camera) return prefix .. 'ledger:' .. camera end

-- Fields by name, whatever else a stranger may have put into the entry.
local function fields_of(entry)
  local header, image = '', ''
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'h' then header = entry[2][i + 1] end
    if entry[2][i] == 'i' then image = entry[2][i + 1] end
  end
  return header, image
end

local function delivery(camera, id, attempts, header, image)
  local size = #image
  bytes_left = bytes_left - size
  if size > image_limit then image = '' end
  return {camera, id, attempts, string.sub(header, 1, header_limit + 1), image, size}
end

local function is_too_old(id, header)
  if #header > header_limit then return false end
  local ok, about = pcall(cmsgpack.unpack, header)
  if not ok or type(about) ~= 'table' or type(about['max_age_ms']) ~= 'number' then return false end
  local held_us = type(about['held_us']) == 'number' and about['held_us'] or 0
  local published_ms = tonumber(string.match(id, '^%d+'))
  return now_ms() - published_ms + held_us / 1000 > about['max_age_ms']
end

local function drop(camera, id, reason)
  if settle(frames_of(camera), id) then add(ledger_of(camera), 'drop:' .. reason, 1) end
end

-- A frame that was delivered before, again; nil when it has vanished or grown too old meanwhile.
local function deliver_again(field, attempts)
  local camera, id = split_held(field)
  local ok, entries = attempt(redis.call, 'XRANGE', frames_of(camera), id, id)
  local entry = ok and entries[1]
  if not entry then return drop(camera, id, 'vanished') end
  local header, image = fields_of(entry)
  if is_too_old(id, header) then return drop(camera, id, 'too_old') end
  -- Claiming sets the idle time back to nothing.
  redis.call('XCLAIM', frames_of(camera), GROUP, READER, 0, id, 'JUSTID')
  redis.call('HSET', held, field, attempts)
  return delivery(camera, id, attempts, header, image)
end

local function take_held()
  local taken = {}
  for field, attempts in pairs(read_hash(held)) do
    if bytes_left <= 0 then break end
    redis.call('HDEL', held, field)
    taken[#taken + 1] = deliver_again(field, tonumber(attempts) or 1)
  end
  return taken
end

local function take_orphan()
  for _ = 1, DROPS_PER_CALL do
    local field = redis.call('HRANDFIELD', orphans)
    if not field then return nil end
    local attempts = (tonumber(redis.call('HGET', orphans, field)) or 0) + 1
    redis.call('HDEL', orphans, field)
    local again = deliver_again(field, attempts)
    if again then return again end
  end
end

local drops_left = DROPS_PER_CALL

local function take_next(camera)
  local frames = frames_of(camera)
  while drops_left > 0 do
    local ok, reply = attempt(redis.call, 'XREADGROUP', 'GROUP', GROUP, READER, 'COUNT', 1, 'STREAMS', frames, '>')
    if not ok or not reply or reply.err then return nil end
    local entry = reply[1][2][1]
    local id, header, image = entry[1], fields_of(entry)
    local more = redis.call('HGET', ledger_of(camera), 'last_id') ~= id
    if not is_too_old(id, header) then
      if more then queue_up(ready, camera) end
      redis.call('HSET', held, name_held(camera, id), 1)
      return delivery(camera, id, 1, header, image)
    end
    drop(camera, id, 'too_old')
    drops_left = drops_left - 1
    if not more then return nil end
  end
  queue_up(ready, camera)
end

local taken = take_held()
if #taken == 0 then taken[1] = take_orphan() end
if #taken > 0 then
  if popped ~= '' then queue_up(ready, popped) end
  return taken
end

while #taken < batch and drops_left > 0 and bytes_left > 0 do
  local camera = popped
  popped = ''
  if camera == '' then camera = redis.call('ZPOPMIN', ready)[1] end
  if not camera then break end
  taken[#taken + 1] = take_next(camera)
end
return taken
