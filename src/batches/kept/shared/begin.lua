-- What a tenant has, before a batch of it begins: the id of the batch of a request id,
-- empty if there is none, and the number of its batches.
-- KEYS: the index, the request ids.
-- ARGV: 1 the request id, empty if there is none.
local earlier = ARGV[1] ~= '' and redis.call('HGET', KEYS[2], ARGV[1])
if not earlier or not redis.call('HGET', KEYS[1], earlier) then
  earlier = ''
end
return { earlier, tostring(#redis.call('HGETALL', KEYS[1]) / 2) }
