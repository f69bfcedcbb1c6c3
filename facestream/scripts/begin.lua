-- Gives a source its epoch, with a lease: the token that fences every producer before it.
-- Resuming keeps the epoch of the same source, whatever ended it; one that was never begun is begun.
-- KEYS ledger, cameras  ARGV camera, token, holder, lease_ms, fingerprint, resume ('1' or '')
-- -> {'ok', epoch, last seq, captured, drops as JSON} | {'held', holder, ms left} | {'changed'}
local ledger, cameras = KEYS[1], KEYS[2]
local camera, token, holder, lease_ms, fingerprint = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local resume = ARGV[6] == '1'

allow_when_full(ledger)
local now = read_hash(ledger)
local retried = now['token'] == token
if not retried then
  local left = (tonumber(now['lease_until_ms']) or 0) - now_ms()
  if now['state'] == 'open' and left > 0 then return {'held', now['holder'] or '', left} end
  local begun = now['epoch'] ~= nil
  if resume and begun and now['fingerprint'] ~= fingerprint then return {'changed'} end

  redis.call('SADD', cameras, camera)
  if resume and begun then
    add(ledger, 'captured', -(tonumber(now['in_hand']) or 0))
    redis.call('HSET', ledger, 'token', token, 'state', 'open', 'in_hand', 0, 'said', 0)
  else
    local state = now['state'] == 'ended' and 'ended' or 'killed'
    close_epoch(ledger, state)
    open_epoch(ledger, whole(math.max(now_us(), (tonumber(now['epoch']) or 0) + 1)), token)
  end
  redis.call('HSET', ledger, 'holder', holder, 'fingerprint', fingerprint,
    'lease_until_ms', whole(now_ms() + lease_ms))
  now = read_hash(ledger)
end

local drops = {}
for field, count in pairs(now) do
  if string.sub(field, 1, 4) == 'src:' then drops[string.sub(field, 5)] = tonumber(count) end
end
return {'ok', now['epoch'], now['seq'], now['captured'], next(drops) and cjson.encode(drops) or '{}'}
