-- Says when a file ends.
-- KEYS: the ends of files.
-- ARGV: 1 when it ends, 2 the file, 3 for how many seconds the key is kept.
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
return 1
