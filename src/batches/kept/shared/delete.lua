-- Deletes all of a batch, in its turn.
-- KEYS: the turn, the index, the records, the request ids, the ends of turns, then the
-- pieces of what is large.
-- ARGV: 1 who has the turn, 2 the id, 3 the request id, empty if there is none.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 'lost'
end
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('HDEL', KEYS[5], ARGV[2])
if ARGV[3] ~= '' and redis.call('HGET', KEYS[4], ARGV[3]) == ARGV[2] then
  redis.call('HDEL', KEYS[4], ARGV[3])
end
for i = 6, #KEYS do
  redis.call('EXPIRE', KEYS[i], 0)
end
return 'deleted'
