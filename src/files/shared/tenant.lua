-- What one tenant owns: the beginning of each script about it.
-- KEYS: 1 the sealed values by id; 2 the ids by when they leave; 3 the ids of what was
-- noted from answers, in the order in which it is forgotten; 4 the sizes of uploads by id,
-- those under way included, and the totals `files` and `bytes`.
-- ARGV: 1 the time in seconds since 1970.
local now = tonumber(ARGV[1])

local function uploaded()
  local totals = redis.call('HMGET', KEYS[4], 'files', 'bytes')
  return tonumber(totals[1] or '0'), tonumber(totals[2] or '0')
end

-- Counts an upload with this size; without a size, no more.
local function count(id, size)
  local files, bytes = uploaded()
  local before = tonumber(redis.call('HGET', KEYS[4], id) or '')
  if before then
    files, bytes = files - 1, bytes - before
    redis.call('HDEL', KEYS[4], id)
  end
  if size then
    files, bytes = files + 1, bytes + size
    redis.call('HSET', KEYS[4], id, string.format('%.0f', size))
  end
  if before or size then
    redis.call('HSET', KEYS[4], 'files', string.format('%.0f', math.max(0, files)),
      'bytes', string.format('%.0f', math.max(0, bytes)))
  end
end

local function forget(id)
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
  count(id, nil)
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 100)) do
  forget(id)
end

-- Something leaves at this time, and no key before it.
local function keep_until(id, time)
  redis.call('ZADD', KEYS[2], time, id)
  local left = math.max(1, math.ceil(tonumber(time) - now))
  for _, key in ipairs(KEYS) do
    if redis.call('TTL', key) < left then
      redis.call('EXPIRE', key, string.format('%.0f', left))
    end
  end
end
