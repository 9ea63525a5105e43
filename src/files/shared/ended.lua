-- Hands out files that have ended, each to one replica: it is due again after a while,
-- unless the replica has removed it by then.
-- KEYS: the ends of files.
-- ARGV: 1 the time in seconds since 1970, 2 when they are due again, 3 the maximum number.
local ended = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, file in ipairs(ended) do
  redis.call('ZADD', KEYS[1], ARGV[2], file)
end
return ended
