-- Shared by every script of the bus: each is sent to the server with this in front.
--
-- A ledger is one hash per camera. Of the running epoch: epoch, state, seq (the last published), token,
-- holder, lease_until_ms, fingerprint, last_id, and as its producer says them captured, in_hand,
-- src:<reason>. Of the epochs before it: past:captured, past:src:<reason>, epochs (the last few by name).
-- Over all, counted here: published, results, drop:<reason>, age:<bound in ms>, age_sum_ms.

local GROUP, READER, ORPHANS = 'workers', 'workers', 'orphans'
local EPOCHS_REMEMBERED = 16

local function whole(number) return string.format('%.0f', number) end

local function now_us()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function now_ms() return math.floor(now_us() / 1000) end

-- Out of memory is judged at a script's first write: one that can only free lets the rest pass.
local function allow_when_full(key) redis.call('HDEL', key, '') end

-- pcall, but for one kind of error: what this user may not do is said, never taken for an absent key.
local function attempt(action, ...)
  local ok, reply = pcall(action, ...)
  if not ok then
    local why = type(reply) == 'table' and reply.err or tostring(reply)
    if string.find(why, 'ACL failure', 1, true) or string.find(why, 'The user executing the script', 1, true) then
      error(reply, 0)
    end
  end
  return ok, reply
end

local function add(ledger, field, amount)
  if amount ~= 0 then redis.call('HINCRBY', ledger, field, whole(amount)) end
end

local function read_hash(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

-- Where our own group stands in a stream: last delivered id and frames in hand; nil without a group.
local function cursor(frames)
  local ok, groups = attempt(redis.call, 'XINFO', 'GROUPS', frames)
  if not ok or groups.err then return nil, 0 end
  for _, group in ipairs(groups) do
    local about = {}
    for i = 1, #group, 2 do about[group[i]] = group[i + 1] end
    if about['name'] == GROUP then return about['last-delivered-id'], about['pending'] end
  end
  return nil, 0
end

-- Our own group where there is a stream without: false where there is none.
local function begin_group(frames)
  return (attempt(redis.call, 'XGROUP', 'CREATE', frames, GROUP, '0'))
end

local function is_after(id, other)
  local ms, number = string.match(id, '^(%d+)-(%d+)$')
  local other_ms, other_number = string.match(other, '^(%d+)-(%d+)$')
  if ms ~= other_ms then return tonumber(ms) > tonumber(other_ms) end
  return tonumber(number) > tonumber(other_number)
end

-- The ids of a camera's latest frames are kept apart, the newest last, so that no age costs the reading of
-- a picture, nor the right to. What is unread is the end of the stream, so its oldest is found from the end.
local function oldest_unread(unread_ids, unread)
  return unread > 0 and redis.call('LINDEX', unread_ids, -unread)
end

-- Closes the running epoch. What a killed producer had in hand died with it, and was not captured.
local function close_epoch(ledger, state)
  local now = read_hash(ledger)
  if not now['epoch'] then return end
  add(ledger, 'past:captured', (tonumber(now['captured']) or 0) - (tonumber(now['in_hand']) or 0))
  for field, count in pairs(now) do
    if string.sub(field, 1, 4) == 'src:' then
      add(ledger, 'past:' .. field, tonumber(count))
      redis.call('HDEL', ledger, field)
    end
  end
  local epochs = {}
  for epoch in string.gmatch(now['epochs'] or '', '[^,]+') do epochs[#epochs + 1] = epoch end
  epochs[#epochs + 1] = now['epoch'] .. ':' .. state .. ':' .. now['seq']
  while #epochs > EPOCHS_REMEMBERED do table.remove(epochs, 1) end
  redis.call('HSET', ledger, 'epochs', table.concat(epochs, ','))
end

local function open_epoch(ledger, epoch, token)
  redis.call('HSET', ledger, 'epoch', epoch, 'token', token, 'state', 'open', 'seq', -1,
    'captured', 0, 'in_hand', 0, 'said', 0)
end

-- The broker has forgotten this epoch: it is opened again as its producer knows it.
local function reopen_epoch(ledger, cameras, camera, epoch, token, holder, fingerprint)
  close_epoch(ledger, 'killed')
  open_epoch(ledger, epoch, token)
  redis.call('HSET', ledger, 'holder', holder, 'fingerprint', fingerprint)
  redis.call('SADD', cameras, camera)
end

-- What a live source published and nothing here knows of, between the last frame known and its next.
local function book_lost(ledger, gap)
  add(ledger, 'published', gap)
  add(ledger, 'drop:lost_in_broker', gap)
end

-- A producer's totals are cumulative: stored, never added, so that a retry changes nothing. All it says is
-- numbered, and scripts do not believe what comes late, after something newer. As fields and values for HSET.
local function totals_to_store(said, lease_ms, captured, in_hand, drops)
  local stored = {'said', said, 'captured', captured, 'in_hand', in_hand,
    'lease_until_ms', whole(now_ms() + lease_ms)}
  if drops ~= '{}' then
    for reason, count in pairs(cjson.decode(drops)) do
      stored[#stored + 1] = 'src:' .. reason
      stored[#stored + 1] = whole(count)
    end
  end
  return stored
end

-- Entry ids are unique in one stream only, so what is held is named by camera and id.
local function name_held(camera, id) return camera .. '/' .. id end

-- A stranger may have queued a camera with a slash in its name: the id is what follows the last one.
local function split_held(field) return string.match(field, '^(.*)/([^/]*)$') end

local function queue_up(ready, camera)
  local last = redis.call('ZRANGE', ready, -1, -1, 'WITHSCORES')
  redis.call('ZADD', ready, 'NX', (tonumber(last[2]) or 0) + 1, camera)
end

-- Settles a frame of our group once, whoever asks first; false when it was settled before.
local function settle(frames, id)
  local ok, acknowledged = attempt(redis.call, 'XACK', frames, GROUP, id)
  if not ok or acknowledged ~= 1 then return false end
  redis.call('XDEL', frames, id)
  return true
end
