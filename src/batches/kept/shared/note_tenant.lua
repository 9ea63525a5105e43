-- Notes that a tenant has batches.
-- KEYS: the tenants.
-- ARGV: 1 the tenant, 2 the seconds to keep it.
local now = tonumber(redis.call('TIME')[1])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + ARGV[2]))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 'noted'
