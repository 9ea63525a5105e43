-- Keeps a batch, unless its tenant has one with its request id, or the maximum.
-- Run a second time, it finds what the first has written.
-- KEYS: the turn, the index, the records, the request ids, then the pieces of what
-- is large.
-- ARGV: 1 who has the turn, 2 the milliseconds that it lasts, 3 the id, 4 its entry in
-- the index, 5 the record, 6 the request id, empty if there is none, 7 the maximum,
-- 8 the seconds to keep all of it.
if redis.call('HGET', KEYS[2], ARGV[3]) then
  return { 'added' }
end
if ARGV[6] ~= '' then
  local earlier = redis.call('HGET', KEYS[4], ARGV[6])
  if earlier and redis.call('HGET', KEYS[2], earlier) then
    return { 'earlier', earlier }
  end
end
if #redis.call('HGETALL', KEYS[2]) / 2 >= tonumber(ARGV[7]) then
  return { 'full' }
end
for i = 5, #KEYS do
  if redis.call('EXPIRE', KEYS[i], ARGV[8]) == 0 then
    return { 'missing' }
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[5])
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[4], ARGV[6], ARGV[3])
end
for i = 2, 4 do
  redis.call('EXPIRE', KEYS[i], ARGV[8])
end
return { 'added' }
