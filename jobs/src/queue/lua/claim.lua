-- Leases waiting jobs. ARGV: worker, how many, request, lease (ms).
-- Gives {ms until something may fall due, {id, epoch, attempt, max, kind, payload}...}.
local worker, limit, request, lease = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local grace = seen(lease)
local out = {}

local function give(job)
  out[#out + 1] = { job.id, job.epoch, job.attempt, job.max, job.head.kind,
    redis.call('HGET', key(job.id), 'payload') or '' }
end

-- asked before, the answer was lost: the same jobs, counted once
local answered = P .. 'claim:' .. worker
local before = redis.call('GET', answered)
if before and string.sub(before, 1, #request) == request then
  for id, epoch in string.gmatch(before, ' (%S+):(%d+)') do
    local job = read(id)
    if job and job.status == 'running' and job.epoch == tonumber(epoch) then
      redis.call('ZADD', leases, 'XX', now + lease, id .. ':' .. epoch)
      give(job)
    end
  end
  return { 1, out }
end

settle(grace)
local answer = request
for _, priority in ipairs({ 'high', 'normal', 'low' }) do
  local popped = #out < limit and redis.call('ZPOPMIN', P .. 'ready:' .. priority, limit - #out) or {}
  for i = 1, #popped, 2 do
    local job = read(popped[i])
    if job and job.status == 'queued' then
      job.epoch, job.attempt = job.epoch + 1, job.attempt + 1
      local entry = '{"worker":' .. cjson.encode(worker) .. ',"started":' .. now .. '}'
      redis.call('HSET', key(job.id), 'epoch', job.epoch, 'attempt', job.attempt, 'a' .. job.attempt, entry)
      if job.attempt > 1 then redis.call('HDEL', key(job.id), 'progress', 'a' .. (job.attempt - 20)) end
      redis.call('ZADD', leases, now + lease, job.id .. ':' .. job.epoch)
      move(job, 'running')
      give(job)
      answer = answer .. ' ' .. job.id .. ':' .. job.epoch
    end
  end
end
if #out > 0 then redis.call('SET', answered, answer, 'PX', lease + 3600000) end

-- no wake-up is lost and none spins: tokens stand exactly while something is ready
if redis.call('EXISTS', P .. 'ready:high', P .. 'ready:normal', P .. 'ready:low') == 0 then
  redis.call('DEL', P .. 'wake')
elseif redis.call('EXISTS', P .. 'wake') == 0 then
  redis.call('LPUSH', P .. 'wake', 1)
end
local due = 1000
for _, set in ipairs({ leases, delayed }) do
  local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  if first[2] then due = math.min(due, math.max(first[2], set == leases and grace or 0) - now) end
end
return { math.max(due, 1), out }
