-- Reserves an amount, or returns the limits that it would exceed.
-- KEYS: the usage, the leases.
-- ARGV: 1-8 the limits (-1: none), 9 requests, 10 concurrent calls, 11 input,
-- 12 output, 13 nanodollars, 14 the lease, 15 its duration in seconds, 16 the
-- day, 17 the month, 18 and 19 milliseconds until they end.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local arg = {}
for i = 1, #ARGV do
  arg[i] = tonumber(ARGV[i])
end

local stored = redis.call('HMGET', KEYS[1], 'r', 'ra', 'i', 'ia', 'o', 'oa',
  'd', 'dt', 'dn', 'm', 'mt', 'mn')
for i = 1, 12 do
  stored[i] = tonumber(stored[i] or '0')
end

local over = {}
local function reached(limit, wait)
  over[#over + 1] = limit
  over[#over + 1] = math.ceil(wait)
end

-- Buckets: what was used and has not been refilled yet.
local used = {}
local costs = { arg[9], arg[11], arg[12] }
for b = 1, 3 do
  local limit, cost = arg[b], costs[b]
  if limit >= 0 then
    used[b] = math.max(0, stored[2 * b - 1] - (now - stored[2 * b]) * limit / 60)
    if cost > 0 and limit == 0 then
      reached(b - 1, 60000)
    elseif cost > 0 then
      local excess = used[b] - math.max(0, limit - cost)
      if excess > 0 then
        reached(b - 1, excess * 60000 / limit)
      end
    end
  end
end

if arg[10] > 0 and arg[4] >= 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if redis.call('ZCARD', KEYS[2]) + arg[10] > arg[4] then
    reached(3, 1000)
  end
end

-- Budgets only move forward in time: the clocks of replicas differ.
local day, month = stored[7], stored[10]
local day_tokens, day_cost = stored[8], stored[9]
local month_tokens, month_cost = stored[11], stored[12]
if arg[16] > day then
  day, day_tokens, day_cost = arg[16], 0, 0
end
if arg[17] > month then
  month, month_tokens, month_cost = arg[17], 0, 0
end
local tokens, cost = arg[11] + arg[12], arg[13]
local function budget(limit, spent, more, left)
  if arg[limit + 1] >= 0 and more > 0 and spent + more > arg[limit + 1] then
    reached(limit, left)
  end
end
budget(4, day_tokens, tokens, arg[18])
budget(5, month_tokens, tokens, arg[19])
budget(6, day_cost, cost, arg[18])
budget(7, month_cost, cost, arg[19])

if #over > 0 then
  return over
end

local function text(figure)
  return string.format('%.17g', figure)
end
local names = { 'r', 'i', 'o' }
local set = {}
for b = 1, 3 do
  if used[b] then
    set[#set + 1] = names[b]
    set[#set + 1] = text(used[b] + costs[b])
    set[#set + 1] = names[b] .. 'a'
    set[#set + 1] = text(now)
  end
end
for _, pair in ipairs({
  { 'd', day }, { 'dt', day_tokens + tokens }, { 'dn', day_cost + cost },
  { 'm', month }, { 'mt', month_tokens + tokens }, { 'mn', month_cost + cost },
}) do
  set[#set + 1] = pair[1]
  set[#set + 1] = text(pair[2])
end
redis.call('HSET', KEYS[1], unpack(set))
-- Longer than any month.
redis.call('EXPIRE', KEYS[1], 3456000)
if arg[10] > 0 and arg[4] >= 0 then
  redis.call('ZADD', KEYS[2], now + arg[15], ARGV[14])
  redis.call('EXPIRE', KEYS[2], arg[15] + 1)
end
return {}
