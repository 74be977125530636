-- Accepts a job. ARGV: id, head (JSON), spec, payload, max attempts, start (ms or ''), most waiting jobs,
-- idempotency key or '', hash of the request, how long the key is kept (ms), when nobody waits for the answer any more (ms),
-- who asks (3), hash of the shown request, most audit events that may wait.
-- Gives {'new', when (ms)}, {'replayed', id}, {'conflict', id}, {'full'}, {'audit'} or {'late'}.
local id, kept = ARGV[1], ARGV[8] ~= '' and P .. 'idempotency:' .. ARGV[8]
local known = redis.call('HGET', key(id), 'head')
if known then return { 'new', cjson.decode(known).created } end
if kept then
  local hash, first = string.match(redis.call('GET', kept) or '', '^(%S*) (.+)$')
  if first then return { hash == ARGV[9] and 'replayed' or 'conflict', first } end
end
if now >= tonumber(ARGV[11]) then return { 'late' } end
local waiting = redis.call('ZCARD', delayed)
for _, priority in ipairs({ 'high', 'normal', 'low' }) do
  waiting = waiting + redis.call('ZCARD', P .. 'ready:' .. priority)
end
if waiting >= tonumber(ARGV[7]) then return { 'full' } end
if audit and redis.call('XLEN', audit) >= tonumber(ARGV[16]) then return { 'audit' } end

local head = '{"created":' .. now .. ',' .. string.sub(ARGV[2], 2)
local start = tonumber(ARGV[6])
local job = { id = id, head = cjson.decode(head), attempt = 0 }
job.status = start and start > now and 'scheduled' or 'queued'
redis.call('HSET', key(id), 'status', job.status, 'epoch', 0, 'attempt', 0, 'max', ARGV[5],
  'head', head, 'spec', ARGV[3], 'payload', ARGV[4])
redis.call('SADD', P .. 'kinds', job.head.kind)
redis.call('ZADD', index(job.head, job.status), now, id)
for _, listing in ipairs(listings(job.head)) do redis.call('ZADD', listing, now, id) end
if kept then redis.call('SET', kept, ARGV[9] .. ' ' .. id, 'PX', ARGV[10]) end
note('submit', job, 'requester', ARGV[12], 'client', ARGV[13], 'address', ARGV[14], 'request_sha256', ARGV[15])
if job.status == 'queued' then ready(job) else delay(job, start) end
return { 'new', now }
