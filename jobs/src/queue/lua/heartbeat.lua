-- Renews leases. ARGV: worker, what is known of it (JSON), lease (ms), then id, epoch and progress ('' if unchanged) of each job.
-- Gives for each 'held', 'cancel' or 'lost'.
local lease = tonumber(ARGV[3])
seen(lease)
redis.call('HSET', P .. 'workers', ARGV[1], '{"at":' .. now .. ',' .. string.sub(ARGV[2], 2))
local out = {}
for i = 4, #ARGV, 3 do
  local id, member, progress = ARGV[i], ARGV[i] .. ':' .. ARGV[i + 1], ARGV[i + 2]
  -- the member names the epoch: a lease that was taken over is not there
  if redis.call('ZSCORE', leases, member) then
    redis.call('ZADD', leases, now + lease, member)
    if progress ~= '' then
      redis.call('HSET', key(id), 'progress', progress)
      local last = redis.call('XREVRANGE', P .. 'events:' .. id, '+', '-', 'COUNT', 1)[1]
      if not last or now - string.match(last[1], '^%d+') >= 1000 then event(id, 'progress', progress) end
    end
    out[#out + 1] = redis.call('HEXISTS', key(id), 'cancel') == 1 and 'cancel' or 'held'
  else
    out[#out + 1] = 'lost'
  end
end
return out
