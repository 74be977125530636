-- What all scripts share. KEYS[1] is the prefix of every key, `{name}:`; times are milliseconds on Redis' own clock.
-- A job's record is one hash: status, epoch (of its lease), attempt, max (attempts), head (what never changes, JSON),
-- spec, payload, a<n> (its attempts, JSON), and, where they apply: next, finished, progress, result, error, cancel and
-- again (the requests for that).
local P = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- The stream of audit events, if any are kept.
local audit = KEYS[2]
local leases, delayed, ended = P .. 'leases', P .. 'delayed', P .. 'ended'

local function key(id) return P .. 'job:' .. id end

-- The job's record, or nil if there is none, or a damaged one: one key must not stop the queue.
local function read(id)
  local f = redis.pcall('HMGET', key(id), 'status', 'epoch', 'head', 'attempt', 'max', 'cancel', 'finished')
  if f.err or not f[3] then return nil end
  local fine, head = pcall(cjson.decode, f[3])
  local job = { id = id, status = f[1], epoch = tonumber(f[2]), head = head, attempt = tonumber(f[4]),
    max = tonumber(f[5]), cancel = f[6], finished = tonumber(f[7]) }
  fine = fine and type(head) == 'table' and head.kind and head.created and head.priority
  return fine and job.status and job.epoch and job.attempt and job.max and job or nil
end

-- The sorted set of the jobs of one kind and status, by their age.
local function index(head, status) return P .. 'jobs:' .. head.kind .. ':' .. status end

-- Every other set that lists the job.
local function listings(head, id)
  local keys = {}
  if head.table then keys[#keys + 1] = P .. 'table:' .. head.table end
  if head.batch then keys[#keys + 1] = P .. 'batch:' .. head.batch end
  for name, value in pairs(head.labels or {}) do
    keys[#keys + 1] = P .. 'label:' .. name
    keys[#keys + 1] = P .. 'label:' .. name .. ':' .. value
  end
  return keys
end

local function event(id, name, data)
  redis.call('XADD', P .. 'events:' .. id, 'MAXLEN', '~', 200, '*', 'event', name, 'data', data)
end

-- Notes a move for the audit trail, within the script that makes it. `...`: further fields, each name with its value.
local function note(action, job, ...)
  if not audit then return end
  redis.call('XADD', audit, '*', 'at', now, 'action', action, 'job_id', job.id, 'kind', job.head.kind,
    'table', job.head.table or '', 'batch_id', job.head.batch or '', 'status', job.status, ...)
end

-- Takes a job to another status and says so. `more`: further members of the event, as JSON with a comma before each.
local function move(job, status, more)
  redis.call('ZREM', index(job.head, job.status), job.id)
  redis.call('ZADD', index(job.head, status), job.head.created, job.id)
  redis.call('HSET', key(job.id), 'status', status)
  job.status = status
  event(job.id, 'status', '{"status":"' .. status .. '","attempt":' .. job.attempt .. (more or '') .. '}')
end

-- Wakes an idle worker. A few tokens are enough: whoever claims and leaves something behind passes one on.
local function wake()
  if redis.call('LLEN', P .. 'wake') < 8 then redis.call('LPUSH', P .. 'wake', 1) end
end

-- Puts a queued job among those that are ready: last, or before all others of its priority.
local function ready(job, first)
  local set = P .. 'ready:' .. job.head.priority
  local head = first and redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  local turn
  if head and head[2] then
    turn = head[2] - 1
  else
    -- a number that only grows, even if the clock steps back: first in, first out
    turn = math.max(now * 1024, (redis.call('GET', P .. 'turn') or 0) + 1)
    redis.call('SET', P .. 'turn', turn)
  end
  redis.call('ZADD', set, turn, job.id)
  wake()
end

-- Puts a job among those that wait for a time.
local function delay(job, due)
  redis.call('HSET', key(job.id), 'next', due)
  redis.call('ZADD', delayed, due, job.id)
  wake()
end

-- Closes the entry of the job's attempt.
local function close(job, failure)
  local field = 'a' .. job.attempt
  local entry = redis.call('HGET', key(job.id), field)
  if entry then
    local more = ',"ended":' .. now .. (failure and ',"error":' .. failure or '') .. '}'
    redis.call('HSET', key(job.id), field, string.sub(entry, 1, -2) .. more)
  end
end

-- Ends a job. `failure` is the error as JSON; the rest is what it has published, as far as it has ('' if not).
local function finish(job, status, failure, snapshot, rows, fingerprint)
  redis.call('HSET', key(job.id), 'finished', now)
  if failure then redis.call('HSET', key(job.id), 'error', failure) end
  move(job, status, failure and ',"error":' .. failure)
  redis.call('RPUSH', ended, now .. ':' .. job.id)
  local done = status == 'succeeded'
  local migrated = done and (rows or '') ~= '' and string.sub(job.head.kind, 1, 8) == 'migrate.'
  note(migrated and 'migrate' or (done and (snapshot or '') ~= '' and 'commit') or 'end', job,
    'error_code', string.match(failure or '', '"code":"([%w_]+)"') or '', 'snapshot_id', snapshot or '',
    'rows', rows or '', 'fingerprint', fingerprint or '')
  -- a stream sets 4 KiB aside for what may come; nothing comes any more, and a copy has its true size. A server that
  -- forbids these commands keeps the larger one.
  local events = P .. 'events:' .. job.id
  redis.pcall('RESTORE', events, 0, redis.pcall('DUMP', events), 'REPLACE')
end

-- Takes a running job from a worker that was silent for longer than its lease.
local function lose(job)
  local failure = '{"code":"worker_lost","message":"the worker that ran the job was not heard of for longer than its '
    .. 'lease: it died, was paused or cut off","retryable":true,"attempt":' .. job.attempt .. ',"details":null}'
  redis.call('ZREM', leases, job.id .. ':' .. job.epoch)
  -- whatever that worker still says names an epoch that is gone
  redis.call('HINCRBY', key(job.id), 'epoch', 1)
  close(job, failure)
  if job.cancel then
    finish(job, 'cancelled')
  elseif job.attempt >= job.max then
    finish(job, 'failed', failure)
  else
    redis.call('HSET', key(job.id), 'error', failure)
    move(job, 'queued')
    ready(job, true)
  end
end

-- Notes that workers reach Redis, and gives the time until which no lease counts as lost: where all were silent for
-- more than half a lease, Redis itself was away, and they get one lease to come back.
local function seen(lease)
  local s = redis.call('HMGET', P .. 'seen', 'at', 'grace')
  local grace = tonumber(s[2] or 0)
  if s[1] and now - s[1] > lease / 2 then grace = now + lease end
  redis.call('HSET', P .. 'seen', 'at', now, 'grace', grace)
  return grace
end

-- Takes over lost jobs and makes those ready whose time has come; so many at most, the next call goes on.
local function settle(grace)
  if now >= grace then
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 100)) do
      redis.call('ZREM', leases, member)
      local id, epoch = string.match(member, '^(.*):(%d+)$')
      local job = id and read(id)
      if job and job.status == 'running' and job.epoch == tonumber(epoch) then lose(job) end
    end
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 200)) do
    redis.call('ZREM', delayed, id)
    local job = read(id)
    if job and (job.status == 'scheduled' or job.status == 'retrying') then
      redis.call('HDEL', key(id), 'next')
      move(job, 'queued')
      ready(job)
    end
  end
end
