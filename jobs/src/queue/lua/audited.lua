-- What the writer of the audit table has done. ARGV: seq and hash of the table's newest record, the first id of the stream
-- that is not in the table. Events that are there go; the head only moves on.
if tonumber(ARGV[1]) > tonumber(redis.call('HGET', P .. 'audit:head', 'seq') or 0) then
  redis.call('HSET', P .. 'audit:head', 'seq', ARGV[1], 'hash', ARGV[2])
end
return redis.call('XTRIM', audit or P .. 'audit', 'MINID', ARGV[3])
