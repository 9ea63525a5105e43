-- Extends a turn, also one that has expired, if nobody has taken it since.
-- KEYS: the turn.
-- ARGV: 1 who has it, 2 the milliseconds that it lasts from now on.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 'lost'
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'extended'
