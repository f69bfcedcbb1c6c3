-- The credentials of one camera, by the number its entry names them with.
-- KEYS secrets  ARGV 'put' | 'drop' | 'clear', number, credentials  -> 1, or 0 where something else is kept
local kind = redis.call('TYPE', KEYS[1])['ok']
if ARGV[1] == 'clear' then
  redis.call('DEL', KEYS[1])
elseif kind ~= 'hash' and kind ~= 'none' then
  return 0
elseif ARGV[1] == 'put' then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
else
  redis.call('HDEL', KEYS[1], ARGV[2])
end
return 1
