-- Forgets something, or gives the room of an upload back.
-- ARGV: 2 the id, or the name of the room.
forget(ARGV[2])
return 1
