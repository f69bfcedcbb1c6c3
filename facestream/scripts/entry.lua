-- One field of a hash, and what to know it again by; changes nothing.
-- KEYS hash  ARGV field, bytes at most  -> {} | {value, sha1}, the value empty when it is too long
if redis.call('TYPE', KEYS[1])['ok'] ~= 'hash' then return {} end
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then return {} end
return {#value <= tonumber(ARGV[2]) and value or '', redis.sha1hex(value)}
