-- Keeps something; returns whether it did.
-- ARGV: 2 when: `absent`, if it is not there; `present`, if it is; `always`; 3 the id, 4 the
-- sealed value, 5 when it leaves, 6 its place in the order in which what was noted is
-- forgotten (empty for an upload), 7 the size of an upload, 8 the maximum number of what was
-- noted, 9 the name of the room of an upload (empty without one).
local id = ARGV[3]
local is_there = redis.call('HGET', KEYS[1], id)
if ARGV[9] ~= '' then
  forget(ARGV[9])
end
if (ARGV[2] == 'absent' and is_there) or (ARGV[2] == 'present' and not is_there) then
  return 0
end
redis.call('HSET', KEYS[1], id, ARGV[4])
if ARGV[6] == '' then
  count(id, tonumber(ARGV[7]))
else
  redis.call('ZADD', KEYS[3], ARGV[6], id)
end
keep_until(id, ARGV[5])
if redis.call('ZCARD', KEYS[3]) > tonumber(ARGV[8]) then
  forget(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '+inf', 'LIMIT', 0, 1)[1])
end
return 1
