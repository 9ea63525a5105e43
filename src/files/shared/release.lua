-- Makes something nobody's that is a tenant's.
-- KEYS: whose it is.
-- ARGV: 1 the hash of the tenant.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('EXPIRE', KEYS[1], 0)
end
return 1
