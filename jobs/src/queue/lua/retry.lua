-- Runs a failed or cancelled job again, with its full number of attempts. ARGV: id.
-- Gives the status before, or '' if there is no such job.
local job = read(ARGV[1])
if not job then return '' end
local before = job.status
if before == 'failed' or before == 'cancelled' then
  redis.call('HDEL', key(job.id), 'result', 'error', 'finished', 'cancel', 'progress')
  redis.call('HSET', key(job.id), 'max', job.attempt + job.head.tries)
  move(job, 'queued')
  ready(job)
end
return before
