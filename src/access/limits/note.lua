-- Records a nonce, unless it is there already; returns whether it is new. The
-- same question may come twice, when its first answer was lost: it is known by
-- its id.
-- KEYS: the nonce.
-- ARGV: 1 a random id of the question, 2 the milliseconds to keep the nonce.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return 1
end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
