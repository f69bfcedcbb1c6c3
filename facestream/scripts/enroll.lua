-- Writes one camera of the registry, if it still stands as its writer saw it, and counts the change.
-- KEYS cameras  ARGV camera, sha1 of its entry now ('' for none), its entry then ('' for none), cameras at most
-- -> {'ok'} | {'changed'} | {'full'} | {'foreign'}
local cameras, camera, seen, entry, limit = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local REVISION, BEYOND = ':revision', 2 ^ 52

local kind = redis.call('TYPE', cameras)['ok']
if kind ~= 'hash' and kind ~= 'none' then return {'foreign'} end
local now = redis.call('HGET', cameras, camera)
if (now or '') == entry then return {'ok'} end -- done before: the last reply was lost on its way
if (now and redis.sha1hex(now) or '') ~= seen then return {'changed'} end
if not now and redis.call('HLEN', cameras) > limit then return {'full'} end

-- No lower than the clock: it grows even after the broker has lost its data.
local revision = tonumber(redis.call('HGET', cameras, REVISION)) or 0
if not (revision >= 0 and revision < BEYOND) then revision = 0 end
if entry == '' then redis.call('HDEL', cameras, camera) else redis.call('HSET', cameras, camera, entry) end
redis.call('HSET', cameras, REVISION, whole(math.max(revision + 1, now_us())))
return {'ok'}
