-- Makes room for an upload: 0 if there is, 1 if there are too many files, 2 if they would be
-- too large. The same question may come twice, when its first answer was lost.
-- ARGV: 2 the name of the room, 3 the bytes, 4 when the room is given back, 5 the maximum
-- number of files, 6 their maximum size.
if redis.call('HGET', KEYS[4], ARGV[2]) then
  return 0
end
local files, bytes = uploaded()
if files >= tonumber(ARGV[5]) then
  return 1
end
if bytes + tonumber(ARGV[3]) > tonumber(ARGV[6]) then
  return 2
end
count(ARGV[2], tonumber(ARGV[3]))
keep_until(ARGV[2], ARGV[4])
return 0
