-- Runs a failed or cancelled job again, with its full number of attempts. ARGV: id, request, who asks (3).
-- Gives the status before, or '' if there is no such job.
local job = read(ARGV[1])
if not job then return '' end
local before = job.status
-- asked before, the answer was lost: it had ended then
if redis.call('HGET', key(job.id), 'again') == ARGV[2] then return 'failed' end
if before == 'failed' or before == 'cancelled' then
  redis.call('HDEL', key(job.id), 'result', 'error', 'finished', 'cancel', 'progress')
  redis.call('HSET', key(job.id), 'max', job.attempt + job.head.tries, 'again', ARGV[2])
  move(job, 'queued')
  ready(job)
  note('retry', job, 'requester', ARGV[3], 'client', ARGV[4], 'address', ARGV[5])
end
return before
