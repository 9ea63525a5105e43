-- The quota of one key and model: the beginning of each script.
-- KEYS: the quota. Its fields: l1-l3 the limits of requests, input and output
-- tokens; v1-v3 the levels at the time `at`; d1-d3 the interactive demand at
-- `da`; until the limits are known, n calls in flight (at most `nm`) with the
-- costs u1-u3, the last one started at `na`; `b:` and a
-- shape: until when the API rejects calls of that shape; `w:` and a replica: what
-- waits there.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local arg = {}
for i = 1, #ARGV do
  arg[i] = tonumber(ARGV[i])
end

local stored = {}
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  stored[flat[i]] = flat[i + 1]
end
local function figure(name)
  return tonumber(stored[name] or '')
end
local function text(number)
  return string.format('%.17g', number)
end

local limit, level = {}, {}
local elapsed = math.max(0, now - (figure('at') or now))
for b = 1, 3 do
  limit[b] = figure('l' .. b)
  if limit[b] then
    level[b] = math.min(limit[b], (figure('v' .. b) or 0) + elapsed * limit[b] / 60)
  end
end
local function is_known()
  return limit[1] or limit[2] or limit[3]
end

-- A decaying sum over about ten seconds.
local demand = {}
local faded = math.exp(-math.max(0, now - (figure('da') or now)) / 10)
for b = 1, 3 do
  demand[b] = (figure('d' .. b) or 0) * faded
end

-- Takes an amount from each bucket; a negative one is returned.
local function take(amounts, is_interactive)
  for b = 1, 3 do
    if limit[b] then
      level[b] = math.min(limit[b], level[b] - amounts[b])
    end
    if is_interactive then
      demand[b] = demand[b] + amounts[b]
    end
  end
end

-- Calls in flight that started before the limits were known. A replica that
-- died never reports their end, so they are dropped after a minute.
local early = figure('n') or 0
local early_cost = { figure('u1') or 0, figure('u2') or 0, figure('u3') or 0 }
if now - (figure('na') or now) > 60 then
  early, early_cost = 0, { 0, 0, 0 }
end
local most_early = early > 0 and figure('nm') or 0

local set = { 'at', text(now), 'da', text(now) }
local function keep(name, number)
  set[#set + 1] = name
  set[#set + 1] = text(number)
end
local function save()
  for b = 1, 3 do
    if limit[b] then
      keep('l' .. b, limit[b])
      keep('v' .. b, level[b])
    end
    keep('d' .. b, demand[b])
    keep('u' .. b, early_cost[b])
  end
  keep('n', early)
  keep('nm', most_early)
  redis.call('HSET', KEYS[1], unpack(set))
  -- After that time without calls, all buckets are full.
  redis.call('EXPIRE', KEYS[1], is_known() and 300 or 60)
end
