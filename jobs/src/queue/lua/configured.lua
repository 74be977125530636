-- A process has started. ARGV: its role, the hash of its configuration, who asks (3). Notes it if another configuration was
-- the last of that role. Gives 1 if it did.
if not audit or redis.call('HGET', P .. 'audit:configuration', ARGV[1]) == ARGV[2] then return 0 end
redis.call('HSET', P .. 'audit:configuration', ARGV[1], ARGV[2])
redis.call('XADD', audit, '*', 'at', now, 'action', 'configure', 'kind', ARGV[1], 'request_sha256', ARGV[2],
  'requester', ARGV[3], 'client', ARGV[4], 'address', ARGV[5])
return 1
