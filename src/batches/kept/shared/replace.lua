-- Replaces a record: in the turn of the batch, and only the version that is known.
-- Run a second time, it finds what the first has written.
-- KEYS: the turn, the index, the records, the ends of turns, then the pieces that are
-- not needed any more.
-- ARGV: 1 who has the turn, 2 the milliseconds that it lasts, 3 the id, 4 the version
-- that is known, 5 the new entry in the index, 6 the new record, 7 the seconds to keep
-- it, 8 whether the end of a turn is not known any more: the batch is being sent.
local entry = redis.call('HGET', KEYS[2], ARGV[3])
if not entry then
  return 'unknown'
end
if redis.call('HGET', KEYS[3], ARGV[3]) == ARGV[6] then
  return 'replaced'
end
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 'lost'
end
-- With a lower version, Redis has lost a write of this turn.
if tonumber(string.match(entry, '^%d+')) > tonumber(ARGV[4]) then
  return 'lost'
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[5])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[6])
if ARGV[8] == '1' then
  redis.call('HDEL', KEYS[4], ARGV[3])
end
redis.call('EXPIRE', KEYS[2], ARGV[7])
redis.call('EXPIRE', KEYS[3], ARGV[7])
for i = 5, #KEYS do
  redis.call('EXPIRE', KEYS[i], 0)
end
return 'replaced'
