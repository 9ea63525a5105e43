-- Applies the response headers of a call.
-- ARGV: 1-6 what is left and the limit of each bucket (-1: not reported), 7
-- whether the levels at the reservation are known, 8-10 these levels, 11-13 what
-- the call reserved if that was before the limits were known, 14 whether the API
-- rejected the call, 15-17 what is returned for it in that case, 18-20 its cost.
local refused = arg[14] == 1
local rounding = { 1, 1000, 1000 }
for b = 1, 3 do
  local reported, most = arg[2 * b - 1], arg[2 * b]
  if most >= 0 and not limit[b] then
    -- The API's numbers may not include other calls in flight yet.
    limit[b] = most
    local own = refused and 0 or arg[10 + b]
    level[b] = reported - math.max(0, early_cost[b] - own)
  -- A rejection that reports another limit is about that one, such as the limit of
  -- a feature.
  elseif most >= 0 and not (refused and most ~= limit[b]) then
    -- The API took its number some time between the reservation and now, so
    -- any value between the two counts agrees with it. A reservation that was
    -- not counted here says nothing about what was left then, so it can only
    -- lower the level. The API has not counted a rejected call.
    local back = refused and arg[14 + b] or 0
    local low, high = level[b] + back, math.huge
    if arg[7] == 1 then
      low, high = math.min(low, arg[7 + b] + back), math.max(low, arg[7 + b] + back)
    end
    if reported < low - rounding[b] then
      level[b] = level[b] - (low - reported)
    elseif reported > high + rounding[b] then
      level[b] = level[b] + (reported - high)
    end
    -- That too little is left for the call is exact, despite rounding; otherwise
    -- the next call would come too early by the same amount again.
    if refused and reported < math.min(most, arg[17 + b]) then
      level[b] = math.min(level[b], reported - back)
    end
    limit[b] = most
    level[b] = math.min(level[b], most)
  end
end
save()
return 0
