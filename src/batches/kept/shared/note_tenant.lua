-- Notes that a tenant has batches, and forgets those whose time is over.
-- KEYS: the tenants.
-- ARGV: 1 the tenant, 2 the seconds to keep it.
local now = tonumber(redis.call('TIME')[1])
local tenants = redis.call('HGETALL', KEYS[1])
for i = 1, #tenants, 2 do
  if tonumber(tenants[i + 1]) < now then
    redis.call('HDEL', KEYS[1], tenants[i])
  end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + ARGV[2]))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 'noted'
