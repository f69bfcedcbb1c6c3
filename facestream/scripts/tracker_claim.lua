-- Takes or renews the lease of one partition's tracker.
-- KEYS tracker  ARGV holder, lease_ms, '1' to be given what is kept even if the lease is ours
-- -> {} held by another | {'kept'} ours as before | {'taken', field, value, ...} ours, and all that is kept
local key, holder, lease_ms, anew = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'

local now = now_ms()
local lease = redis.call('HMGET', key, 'holder', 'until_ms')
local until_ms = tonumber(lease[2]) or 0
-- One that ends later than any lease can is of a clock that was wrong.
if lease[1] and lease[1] ~= holder and until_ms > now and until_ms <= now + lease_ms then return {} end
allow_when_full(key)
redis.call('HSET', key, 'holder', holder, 'until_ms', whole(now + lease_ms))
if lease[1] == holder and not anew then return {'kept'} end
local reply = redis.call('HGETALL', key)
table.insert(reply, 1, 'taken')
return reply
