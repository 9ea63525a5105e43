-- Ends a turn, and notes when, unless an earlier end is noted.
-- KEYS: the turn, the index, the ends of turns.
-- ARGV: 1 who has the turn, 2 the id, 3 the seconds to keep the end.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 'lost'
end
redis.call('EXPIRE', KEYS[1], 0)
if redis.call('HGET', KEYS[2], ARGV[2]) and not redis.call('HGET', KEYS[3], ARGV[2]) then
  local clock = redis.call('TIME')
  local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
  redis.call('HSET', KEYS[3], ARGV[2], string.format('%.0f', now))
  redis.call('EXPIRE', KEYS[3], ARGV[3])
end
return 'ended'
