-- Books what the ledger of a camera does not explain, once an operator has: both identities close again.
-- KEYS ledger, frames  ARGV reason  -> {captured but not ended at source, published but not ended}
local ledger, frames = KEYS[1], KEYS[2]
local SETTLEMENTS_REMEMBERED = 16

allow_when_full(ledger)
local now = read_hash(ledger)
local function number(field) return tonumber(now[field]) or 0 end
local function sum(beginning)
  local whole_sum = 0
  for field, count in pairs(now) do
    if string.sub(field, 1, #beginning) == beginning then whole_sum = whole_sum + tonumber(count) end
  end
  return whole_sum
end

local captured = number('captured') + number('past:captured')
local at_source = captured - number('published') - sum('src:') - sum('past:src:') - number('in_hand')
  - number('settled_at_source')
local after = number('published') - number('results') - sum('drop:') - redis.call('XLEN', frames) - number('settled')
if at_source == 0 and after == 0 then return {0, 0} end

add(ledger, 'settled_at_source', at_source)
add(ledger, 'settled', after)
local settlements = now['settlements'] and cjson.decode(now['settlements']) or {}
settlements[#settlements + 1] = {at_ms = now_ms(), at_source = at_source, after = after, reason = ARGV[1]}
while #settlements > SETTLEMENTS_REMEMBERED do table.remove(settlements, 1) end
redis.call('HSET', ledger, 'settlements', cjson.encode(settlements))
return {at_source, after}
