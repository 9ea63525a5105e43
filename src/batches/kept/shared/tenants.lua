-- Returns the tenants that have batches, and forgets those whose time is over.
-- KEYS: the tenants.
local now = tonumber(redis.call('TIME')[1])
local tenants = redis.call('HGETALL', KEYS[1])
local kept = {}
for i = 1, #tenants, 2 do
  if tonumber(tenants[i + 1]) < now then
    redis.call('HDEL', KEYS[1], tenants[i])
  else
    kept[#kept + 1] = tenants[i]
  end
end
return kept
