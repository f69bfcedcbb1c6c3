-- A camera's ledger and what is really in the broker, at one moment; changes nothing.
-- KEYS ledger, frames  -> {frames in the stream, of these in hand, id of the oldest, ledger as a flat list}
local _, in_hand = cursor(KEYS[2])
local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
return {redis.call('XLEN', KEYS[2]), in_hand, oldest and oldest[1] or '', redis.call('HGETALL', KEYS[1])}
