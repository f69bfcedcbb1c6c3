-- Hands a worker its next frames: those it holds already, when the last reply was lost on its way; else
-- one that somebody dropped, alone; else one of each camera in turn.
-- KEYS held, orphans, ready, workers
-- ARGV prefix, worker, batch, camera already popped ('' for none), header bytes and image bytes at most,
--      bytes of pictures after which a batch is full; then each frame in hand that was not lost, as held names it
-- -> {{camera, entry id, attempts, header, image, image bytes}, …}; an image over the limit is left out
local held, orphans, ready, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix, worker, batch, popped = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local header_limit, image_limit, bytes_left = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local DROPS_PER_CALL = 256

local now = now_ms() -- as good as standing still while a script runs

allow_when_full(held)
redis.call('ZADD', workers, whole(now), worker)

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
  -- Taking a header apart costs more than most of the rest; what never grows old has no such word in it.
  if not string.find(header, 'max_age_ms', 1, true) then return false end
  local ok, about = pcall(cmsgpack.unpack, header)
  if not ok or type(about) ~= 'table' or type(about['max_age_ms']) ~= 'number' then return false end
  local held_us = type(about['held_us']) == 'number' and about['held_us'] or 0
  local published_ms = tonumber(string.match(id, '^%d+'))
  return now - published_ms + held_us / 1000 > about['max_age_ms']
end

local function drop(camera, id, reason)
  if settle(frames_of(camera), id) then add(ledger_of(camera), 'drop:' .. reason, 1) end
end

-- What this call puts into the worker's hands, written down at its end: field, attempts, …
local holding = {}
local function hold(field, attempts)
  holding[#holding + 1] = field
  holding[#holding + 1] = attempts
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
  hold(field, attempts)
  return delivery(camera, id, attempts, header, image)
end

local in_hand = {}
for i = 8, #ARGV do in_hand[ARGV[i]] = true end

local function take_held()
  local taken = {}
  for field, attempts in pairs(read_hash(held)) do
    if bytes_left <= 0 then break end
    if not in_hand[field] then
      redis.call('HDEL', held, field)
      taken[#taken + 1] = deliver_again(field, tonumber(attempts) or 1)
    end
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

local function read_next(frames)
  local function read()
    return attempt(redis.call, 'XREADGROUP', 'GROUP', GROUP, READER, 'COUNT', 1, 'STREAMS', frames, '>')
  end
  local ok, reply = read()
  if not ok and string.find(type(reply) == 'table' and reply.err or tostring(reply), 'NOGROUP', 1, true) then
    -- Somebody deleted the stream and it was begun anew, without our group.
    begin_group(frames)
    ok, reply = read()
  end
  return ok and reply and not reply.err and reply[1][2][1]
end

-- The camera's next frame, if there is one that is not too old, and whether there are more.
local function take_next(camera)
  while drops_left > 0 do
    local entry = read_next(frames_of(camera))
    if not entry then return nil, false end
    local id, header, image = entry[1], fields_of(entry)
    local known, last_id = attempt(redis.call, 'HGET', ledger_of(camera), 'last_id')
    local more = known and last_id ~= id
    if not is_too_old(id, header) then
      hold(name_held(camera, id), 1)
      return delivery(camera, id, 1, header, image), more
    end
    drop(camera, id, 'too_old')
    drops_left = drops_left - 1
    if not more then return nil, false end
  end
  return nil, true
end

-- One frame of each camera in line; more of the same only when the line is empty: nobody else waits then.
local function take_turns(first)
  local frames, served = {}, {}
  local function has_room() return #frames < batch and drops_left > 0 and bytes_left > 0 end
  local function serve(camera)
    local frame, more = take_next(camera)
    frames[#frames + 1] = frame
    if more then served[#served + 1] = camera end
  end

  if first ~= '' then serve(first) end
  local is_line_empty = false
  while has_room() and not is_line_empty do
    local wanted = batch - #frames
    local line = redis.call('ZPOPMIN', ready, wanted)
    is_line_empty = #line < 2 * wanted
    for i = 1, #line, 2 do
      if has_room() then
        serve(line[i])
      else
        redis.call('ZADD', ready, 'NX', line[i + 1], line[i])
      end
    end
  end
  while has_room() and #served > 0 do serve(table.remove(served, 1)) end
  for _, camera in ipairs(served) do queue_up(ready, camera) end
  return frames
end

local taken = take_held()
if #taken == 0 then taken[1] = take_orphan() end
if #taken == 0 then
  taken = take_turns(popped)
elseif popped ~= '' then
  queue_up(ready, popped)
end
if #holding > 0 then redis.call('HSET', held, unpack(holding)) end
return taken
