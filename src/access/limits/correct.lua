-- Corrects a reservation.
-- KEYS: the usage.
-- ARGV: 1 and 2 the limits of input and output (-1: none), 3 input, 4 output
-- and 5 nanodollars to add, 6 the day and 7 the month of the reservation.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local function text(figure)
  return string.format('%.17g', figure)
end
local function stored(name)
  return tonumber(redis.call('HGET', KEYS[1], name) or '0')
end

for b, name in ipairs({ 'i', 'o' }) do
  local limit, more = tonumber(ARGV[b]), tonumber(ARGV[b + 2])
  if limit >= 0 and more ~= 0 then
    local used = math.max(0, stored(name) - (now - stored(name .. 'a')) * limit / 60)
    redis.call('HSET', KEYS[1], name, text(math.max(0, used + more)), name .. 'a', text(now))
  end
end

local tokens, cost = tonumber(ARGV[3]) + tonumber(ARGV[4]), tonumber(ARGV[5])
for _, it in ipairs({ { 'd', tonumber(ARGV[6]) }, { 'm', tonumber(ARGV[7]) } }) do
  local period, number = it[1], it[2]
  if stored(period) == number then
    redis.call('HSET', KEYS[1],
      period .. 't', text(math.max(0, stored(period .. 't') + tokens)),
      period .. 'n', text(math.max(0, stored(period .. 'n') + cost)))
  end
end
return 0
