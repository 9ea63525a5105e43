-- Reserves the first call in the queue of a replica, or returns how long it must
-- wait.
-- ARGV: 1 whether it is interactive, 2-4 its cost, 5 milliseconds that it has been
-- the first, 6-8 the total cost of the other interactive calls that wait in the
-- replica, 9-11 that of the batch calls, 12-17 level and limit of each bucket as
-- far as the replica knows them (-1: unknown), 18 the number of calls in flight
-- that are always admitted before the limits are known, 19 milliseconds for which the
-- API rejects calls of this shape, as far as the replica knows, 20 the replica, 21
-- milliseconds after which a call that is still in flight was accepted, 22 the shape
-- of the call.
local is_interactive = arg[1] == 1
local cost = { arg[2], arg[3], arg[4] }
local since = now - arg[5] / 1000
local own = 'w:' .. ARGV[20]
-- Only a later time counts, with a margin for the round trip: the replica may
-- have its time from here.
local shape = 'b:' .. ARGV[22]
local blocked = figure(shape) or 0
if arg[19] > 0 and now + arg[19] / 1000 > blocked + 0.05 then
  blocked = now + arg[19] / 1000
  keep(shape, blocked)
end

-- A Redis that has lost its data gets the state from the first replica that
-- remembers it.
if not is_known() then
  for b = 1, 3 do
    local seen, most = arg[10 + 2 * b], arg[11 + 2 * b]
    if most >= 0 then
      limit[b], level[b] = most, math.min(most, seen)
    end
  end
end

-- What waits in other replicas, and how much of it goes first: for a batch call
-- all interactive calls, and calls of the same kind that have been the first in their
-- queue for longer.
local interactive, batch, ahead = { 0, 0, 0 }, { 0, 0, 0 }, { 0, 0, 0 }
for name, line in pairs(stored) do
  if string.sub(name, 1, 2) == 'b:' and tonumber(line) < now then
    redis.call('HDEL', KEYS[1], name)
  elseif string.sub(name, 1, 2) == 'w:' and name ~= own then
    -- The time until which the entry is valid; whether the first in the queue is
    -- interactive (-1: the queue is empty), since when it is the first, its cost; then
    -- the total costs of what waits, including it.
    local it = {}
    for number in string.gmatch(line, '%S+') do
      it[#it + 1] = tonumber(number)
    end
    if it[1] < now then
      redis.call('HDEL', KEYS[1], name)
    else
      for b = 1, 3 do
        interactive[b] = interactive[b] + it[6 + b]
        batch[b] = batch[b] + it[9 + b]
        if it[2] == arg[1] and it[3] < since then
          ahead[b] = ahead[b] + it[3 + b]
        end
        if not is_interactive then
          ahead[b] = ahead[b] + it[6 + b]
        end
      end
    end
  end
end

local wait = 0
if is_known() then
  for b = 1, 3 do
    if limit[b] and cost[b] > 0 then
      -- More than the limit is available when the bucket is full.
      local missing = math.min(limit[b], cost[b] + ahead[b]) - level[b]
      if missing > 0 then
        wait = math.max(wait, missing * 60 / math.max(limit[b], 1e-9))
      end
    end
  end
elseif early >= math.max(arg[18], most_early) then
  -- Calls that are in flight for that time were accepted: twice as many may be.
  local left = (figure('na') or 0) + arg[21] / 1000 - now
  if left <= 0 then
    most_early = 2 * early
  end
  wait = math.max(wait, left)
end

-- A call that the API rejects leaves the queue: it must not hold up the others.
local verdict = 0
if blocked > now then
  verdict = 3
elseif wait <= 0 and is_known() then
  verdict = 1
  take(cost, is_interactive)
elseif wait <= 0 then
  verdict = 2
  early = early + 1
  for b = 1, 3 do
    early_cost[b] = early_cost[b] + cost[b]
  end
  keep('na', now)
end

-- The replica queries again much sooner than that, unless it is gone.
local line = { text(now + 1.5) }
local function say(numbers)
  for b = 1, 3 do
    line[#line + 1] = text(numbers[b])
  end
end
local waits = { { arg[6], arg[7], arg[8] }, { arg[9], arg[10], arg[11] } }
if verdict == 0 then
  line[2], line[3] = arg[1], text(since)
  local mine = waits[is_interactive and 1 or 2]
  for b = 1, 3 do
    mine[b] = mine[b] + cost[b]
  end
  say(cost)
else
  line[2], line[3] = -1, 0
  say({ 0, 0, 0 })
end
say(waits[1])
say(waits[2])
if verdict > 0 and waits[1][1] + waits[2][1] <= 0 then
  redis.call('HDEL', KEYS[1], own)
else
  set[#set + 1] = own
  set[#set + 1] = table.concat(line, ' ')
end
save()

local answer = { verdict, wait * 1000, math.max(0, blocked - now) * 1000 }
for b = 1, 3 do
  answer[#answer + 1] = limit[b] and level[b] or -1
  answer[#answer + 1] = limit[b] or -1
end
for _, costs in ipairs({ interactive, batch, demand }) do
  for b = 1, 3 do
    answer[#answer + 1] = costs[b]
  end
end
for i = 1, #answer do
  answer[i] = text(answer[i])
end
return answer
