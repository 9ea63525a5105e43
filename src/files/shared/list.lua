-- The ids of the files of a tenant.
-- ARGV: 2 the first place of a file in the order of what was noted, 3 the length of an id:
-- totals and rooms have other names.
local ids = redis.call('ZRANGEBYSCORE', KEYS[3], ARGV[2], '+inf')
local uploads = redis.call('HGETALL', KEYS[4])
for i = 1, #uploads, 2 do
  if #uploads[i] == tonumber(ARGV[3]) then
    ids[#ids + 1] = uploads[i]
  end
end
return ids
