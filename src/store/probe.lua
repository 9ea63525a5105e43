-- Runs each command that the scripts and calls run, on a key of its own: what a
-- user may not do, or a server cannot, fails here as well.
-- KEYS: the hash, and the sorted set.
redis.call('TIME')
redis.call('HSET', KEYS[1], 'a', 1)
redis.call('HGET', KEYS[1], 'a')
redis.call('HMGET', KEYS[1], 'a', 'b')
redis.call('HGETALL', KEYS[1])
redis.call('HDEL', KEYS[1], 'b')
redis.call('EXPIRE', KEYS[1], 1)
redis.call('TTL', KEYS[1])
redis.call('ZADD', KEYS[2], 1, 'a')
redis.call('ZCARD', KEYS[2])
redis.call('ZREM', KEYS[2], 'b')
redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '+inf')
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', 0)
redis.call('EXPIRE', KEYS[2], 1)
redis.call('SET', KEYS[3], 1, 'PX', 1000)
redis.call('GET', KEYS[3])
return 1
