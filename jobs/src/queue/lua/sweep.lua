-- Forgets jobs that ended before the retention, and does what no claim does while all workers are busy: takes over lost
-- jobs, makes due ones ready. ARGV: lease (ms), retention (ms), how many at most. Gives how many jobs it has forgotten.
local lease, before = tonumber(ARGV[1]), now - tonumber(ARGV[2])
settle(seen(lease))
local forgotten = 0
for _ = 1, tonumber(ARGV[3]) do
  local at, id = string.match(redis.call('LINDEX', ended, 0) or '', '^(%d+):(.*)$')
  if not at or tonumber(at) > before then break end
  redis.call('LPOP', ended)
  local job = read(id)
  -- one that was run again is not ended, or ended later and stands further back
  if job and job.finished == tonumber(at) then
    redis.call('ZREM', index(job.head, job.status), id)
    for _, listing in ipairs(listings(job.head)) do redis.call('ZREM', listing, id) end
    redis.call('UNLINK', key(id), P .. 'events:' .. id)
    forgotten = forgotten + 1
  end
end
local workers = redis.call('HGETALL', P .. 'workers')
for i = 1, #workers, 2 do
  if cjson.decode(workers[i + 1]).at < now - 10 * lease then redis.call('HDEL', P .. 'workers', workers[i]) end
end
return forgotten
