-- Some fields of a hash, without those that are too long; changes nothing.
-- KEYS hash  ARGV cursor, how many about, bytes of a name and of a value at most
-- -> {next cursor, how many were left out, {name, value, …}}
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= 'hash' then return {'0', kind == 'none' and 0 or 1, {}} end
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local kept, left_out = {}, 0
for i = 1, #page[2], 2 do
  if #page[2][i] <= tonumber(ARGV[3]) and #page[2][i + 1] <= tonumber(ARGV[4]) then
    kept[#kept + 1] = page[2][i]
    kept[#kept + 1] = page[2][i + 1]
  else
    left_out = left_out + 1
  end
end
return {page[1], left_out, kept}
