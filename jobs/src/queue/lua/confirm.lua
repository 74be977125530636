-- Whether the lease is held and nobody wants the job to stop; if so it is renewed. ARGV: id, epoch, lease (ms).
local job = read(ARGV[1])
local member = ARGV[1] .. ':' .. ARGV[2]
if not job or job.cancel or not redis.call('ZSCORE', leases, member) then return 0 end
redis.call('ZADD', leases, now + ARGV[3], member)
return 1
