-- Stops a job. ARGV: id, request, who asks (3). Gives {the status before, the status after}, or {} if there is no such job.
local job = read(ARGV[1])
if not job then return {} end
local before = job.status
local function asked() note('cancel', job, 'requester', ARGV[3], 'client', ARGV[4], 'address', ARGV[5]) end
-- asked before, the answer was lost: it was not ended then
if before == 'cancelled' and job.cancel == ARGV[2] then return { 'queued', before } end
if before == 'running' then
  local expiry = redis.call('ZSCORE', leases, job.id .. ':' .. job.epoch)
  local grace = tonumber(redis.call('HGET', P .. 'seen', 'grace') or 0)
  if not job.cancel then
    job.cancel = ARGV[2]
    asked()
    redis.call('HSET', key(job.id), 'cancel', ARGV[2])
    event(job.id, 'status', '{"status":"running","attempt":' .. job.attempt .. ',"cancel_requested":true}')
  end
  if not expiry or (tonumber(expiry) < now and now >= grace) then lose(job) end
elseif before == 'queued' or before == 'scheduled' or before == 'retrying' then
  asked()
  redis.call('ZREM', P .. 'ready:' .. job.head.priority, job.id)
  redis.call('ZREM', delayed, job.id)
  redis.call('HDEL', key(job.id), 'next', 'error')
  redis.call('HSET', key(job.id), 'cancel', ARGV[2])
  finish(job, 'cancelled')
end
return { before, job.status }
