-- Publishes what a tracker has to say. A repeat says it again: readers tell events apart by their keys.
-- KEYS tracks, audience  ARGV keep_ms, tracks at most, audience at most, how many tracks, then the payloads
-- -> the broker's time in ms
local tracks, audience = KEYS[1], KEYS[2]
local keep_ms, tracks_kept, audience_kept, count = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])

-- The first write only frees, so that the rest passes while the broker is full.
local oldest = whole(now_ms() - keep_ms)
redis.call('XTRIM', tracks, 'MINID', '~', oldest)
redis.call('XTRIM', audience, 'MINID', '~', oldest)
for i = 5, #ARGV do
  if i < 5 + count then
    redis.call('XADD', tracks, 'MAXLEN', '~', tracks_kept, '*', 'r', ARGV[i])
  else
    redis.call('XADD', audience, 'MAXLEN', '~', audience_kept, '*', 'r', ARGV[i])
  end
end
return now_ms()
