-- Settles a reservation.
-- ARGV: 1 whether it was interactive, 2-4 what was used beyond the reservation
-- (negative: less), 5 whether it was admitted before the limits were known, 6-8
-- what was reserved in that case, 9 milliseconds for which the API rejects calls
-- of a shape, 10 whether it rejected this one, 11 the shape.
take({ arg[2], arg[3], arg[4] }, is_known() and arg[1] == 1)
if arg[5] == 1 then
  early = math.max(0, early - 1)
  for b = 1, 3 do
    early_cost[b] = early > 0 and math.max(0, early_cost[b] - arg[5 + b]) or 0
  end
end
if arg[10] == 1 then
  most_early = 0
  local shape = 'b:' .. ARGV[11]
  if now + arg[9] / 1000 > (figure(shape) or 0) then
    keep(shape, now + arg[9] / 1000)
  end
end
save()
return 0
