-- Takes the turn of a batch, unless another has it; returns the batch as it is, and for
-- how many milliseconds its last turn is known to be over.
-- KEYS: the turn, the index, the records, the ends of turns.
-- ARGV: 1 who asks, 2 the milliseconds that the turn lasts, 3 the id, 4 the seconds to
-- keep the end.
local entry = redis.call('HGET', KEYS[2], ARGV[3])
if not entry then
  return { 'unknown' }
end
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return { 'held' }
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local ended = tonumber(redis.call('HGET', KEYS[4], ARGV[3]) or '')
if not ended then
  ended = now
  redis.call('HSET', KEYS[4], ARGV[3], string.format('%.0f', now))
  redis.call('EXPIRE', KEYS[4], ARGV[4])
end
local record = redis.call('HGET', KEYS[3], ARGV[3]) or ''
return { 'taken', entry, record, string.format('%.0f', math.max(0, now - ended)) }
