-- The turns of a host, over all workers. ARGV: what is done, the host, then
--   take: token, owner, lease (ms), most holders, least ms since the last turn, ms of chance on top,
--         ms that it has waited. Gives 0 for a turn, the ms to wait, or -1 while others hold all there are;
--   keep: token, lease (ms). Gives 0 if it is lost, 1 if it is held, 2 if it should be given up: others
--         wait, or the host wants to be left alone;
--   give: token, owner, '1' if it was kept over many requests;
--   pause: ms in which nobody gets a turn.
-- `host:` is a hash: last (the last turn), next (not before), pause (neither), wanted (when someone had to wait for a
-- holder), shy (the owner who made room) and polite (until when it lets others go first). `holders:` has tokens by expiry.
local what, host = ARGV[1], ARGV[2]
local state, holders = P .. 'host:' .. host, P .. 'holders:' .. host

-- What is known of a host is kept a little longer than it matters.
local function live(ms)
  if redis.call('PTTL', state) < ms + 60000 then redis.call('PEXPIRE', state, ms + 60000) end
end

if what == 'pause' then
  local ms = tonumber(ARGV[3])
  local until_then = tonumber(redis.call('HGET', state, 'pause') or 0)
  redis.call('HSET', state, 'pause', math.max(until_then, now + ms))
  live(ms)
  return 0
end

local token = ARGV[3]
if what == 'keep' then
  if not redis.call('ZSCORE', holders, token) then return 0 end
  local lease = tonumber(ARGV[4])
  redis.call('ZADD', holders, now + lease, token)
  redis.call('PEXPIRE', holders, lease)
  local s = redis.call('HMGET', state, 'wanted', 'pause')
  return (now - (s[1] or 0) < 2000 or tonumber(s[2] or 0) > now) and 2 or 1
end

if what == 'give' then
  if redis.call('ZREM', holders, token) == 1 and ARGV[5] == '1' then
    redis.call('HSET', state, 'last', now, 'shy', ARGV[4], 'polite', now + 300)
    live(0)
  end
  return 0
end

local lease, most, least, chance = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
redis.call('ZREMRANGEBYSCORE', holders, '-inf', now)
-- the answer to the same call was lost
if redis.call('ZSCORE', holders, token) then return 0 end
local s = redis.call('HMGET', state, 'last', 'next', 'pause', 'wanted', 'shy', 'polite')
local due = math.max(tonumber(s[2] or 0), tonumber(s[3] or 0))
-- whoever wants more time between turns than others do cannot wait for a gap that never comes
if s[1] then due = math.max(due, s[1] + least - tonumber(ARGV[9])) end
if s[4] and now - s[4] < 2000 and s[5] == ARGV[4] then due = math.max(due, tonumber(s[6] or 0)) end
if due > now then return due - now end
if redis.call('ZCARD', holders) >= most then
  redis.call('HSET', state, 'wanted', now)
  live(0)
  return -1
end
redis.call('ZADD', holders, now + lease, token)
redis.call('PEXPIRE', holders, lease)
redis.call('HSET', state, 'last', now, 'next', now + least + chance)
redis.call('HDEL', state, 'wanted', 'shy', 'polite')
live(least + chance)
return 0
