-- Ends an attempt. ARGV: id, epoch, outcome (succeeded, failed, cancelled, retry, hand_back), result, error or what it waits for (JSON
-- or ''), wait (ms), progress (JSON or ''), and of a success the snapshot, its rows and their fingerprint ('' each).
-- Gives 1, or 0 if the lease is not the caller's any more.
local job, outcome, value, wait = read(ARGV[1]), ARGV[3], ARGV[4], tonumber(ARGV[5])
if not job or job.epoch ~= tonumber(ARGV[2]) then return 0 end
if job.status ~= 'running' then return 1 end -- said before, the answer was lost
redis.call('ZREM', leases, job.id .. ':' .. job.epoch)
local failure = (outcome == 'failed' or outcome == 'retry') and value or nil
-- what has not succeeded by the time that someone wants it stopped is stopped
if job.cancel and outcome ~= 'succeeded' then outcome = 'cancelled' end
if outcome == 'retry' and job.attempt >= job.max then outcome = 'failed' end

if outcome == 'hand_back' then
  redis.call('HDEL', key(job.id), 'a' .. job.attempt)
  job.attempt = job.attempt - 1
  redis.call('HSET', key(job.id), 'attempt', job.attempt)
  if wait > 0 then
    if value ~= '' then redis.call('HSET', key(job.id), 'error', value) end
    move(job, 'retrying', ',"next":' .. now + wait .. (value ~= '' and ',"error":' .. value or ''))
    delay(job, now + wait)
  else
    move(job, 'queued')
    ready(job, true)
  end
  return 1
end
close(job, failure)
if ARGV[6] ~= '' then redis.call('HSET', key(job.id), 'progress', ARGV[6]) end
if outcome == 'retry' then
  redis.call('HSET', key(job.id), 'error', failure)
  move(job, 'retrying', ',"next":' .. now + wait .. ',"error":' .. failure)
  delay(job, now + wait)
elseif outcome == 'succeeded' then
  redis.call('HSET', key(job.id), 'result', value)
  redis.call('HDEL', key(job.id), 'error')
  finish(job, outcome, nil, ARGV[7], ARGV[8], ARGV[9])
else
  if outcome == 'cancelled' then redis.call('HDEL', key(job.id), 'error') end
  finish(job, outcome, outcome == 'failed' and failure or nil)
end
return 1
