-- Makes something a tenant's own, unless it is another one's; returns whether it is.
-- KEYS: whose it is.
-- ARGV: 1 the hash of the tenant, 2 for how many seconds.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2] .. '000') then
  return 1
end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return 1
