-- Takes over what the head of an answer told.
-- ARGV: 1-6 what is left and the limit of each bucket (-1: not told), 7 whether
-- the levels at the charge are known, 8-10 these levels, 11-13 what the call
-- was charged if that was before the limits were known, 14 whether the API
-- refused the call, 15-17 what is given back for it then, 18-20 its cost.
local refused = arg[14] == 1
local rounding = { 1, 1000, 1000 }
for b = 1, 3 do
  local told, most = arg[2 * b - 1], arg[2 * b]
  if most >= 0 and not limit[b] then
    -- Other calls in flight may not be in the API's figures yet.
    limit[b] = most
    local own = refused and 0 or arg[10 + b]
    level[b] = told - math.max(0, early_cost[b] - own)
  elseif most >= 0 then
    -- The API took its figure some time between the charge and now, so
    -- anything between the two counts agrees with it. A charge that was not
    -- counted here says nothing of what was left then, so it only lowers. What
    -- was refused the API has not charged.
    local back = refused and arg[14 + b] or 0
    local low, high = level[b] + back, math.huge
    if arg[7] == 1 then
      low, high = math.min(low, arg[7 + b] + back), math.max(low, arg[7 + b] + back)
    end
    if told < low - rounding[b] then
      level[b] = level[b] - (low - told)
    elseif told > high + rounding[b] then
      level[b] = level[b] + (told - high)
    end
    -- Too little for the call is exact, whatever is rounded: else the next one
    -- would be too early by as much again.
    if refused and told < math.min(most, arg[17 + b]) then
      level[b] = math.min(level[b], told - back)
    end
    limit[b] = most
    level[b] = math.min(level[b], most)
  end
end
save()
return 0
