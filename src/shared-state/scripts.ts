/**
 * The Lua scripts of the store, each of which is one atomic step. They are sent whole each time, because they are short, and no script of
 * an older version stays in the store.
 *
 * Each script begins with a write, even if it changes nothing: a primary that has become a replica refuses it (READONLY) instead of
 * answering with old data. A full store refuses only writes that need memory (OOM).
 */

/** Milliseconds since the epoch by the clock of the store. */
const clock = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`

export interface Script {
  readonly lua: string
  readonly keys: number
}

/**
 * KEYS epoch log logins nothing; ARGV a name for a new epoch, entries that the log keeps
 * @returns epoch, id of the newest entry of the log, of the logins
 */
export const openScript: Script = {
  keys: 4,
  lua: `redis.call('DEL', KEYS[4])
local epoch = redis.call('GET', KEYS[1])
if not epoch or redis.call('EXISTS', KEYS[2]) == 0 then
  epoch = ARGV[1]
  redis.call('SET', KEYS[1], epoch)
  redis.call('XADD', KEYS[2], '*', 'o', '')
end
local tail = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
local logins = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
return {epoch, tail[1][1], logins[1] and logins[1][1] or '0-0'}`,
}

/**
 * KEYS epoch log nothing; ARGV epoch, id of the entry that was read last, most entries
 * @returns `ok` (`full` in a store that takes no writes) and the entries from that one on; `trimmed` if that entry was trimmed; `lost` if the log is another one
 */
export const readScript: Script = {
  keys: 3,
  // This checks for a full store first, because after one write within a script the store lets all others pass.
  lua: `local full = redis.pcall('SETRANGE', KEYS[3], 0, '')
redis.call('DEL', KEYS[3])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lost'} end
local entries = redis.call('XRANGE', KEYS[2], ARGV[2], '+', 'COUNT', ARGV[3])
if entries[1] and entries[1][1] == ARGV[2] then
  return {type(full) == 'table' and 'full' or 'ok', entries}
end
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
if entries[1] and entries[1][1] == first[1][1] then return {'trimmed'} end
return {'lost'}`,
}

/**
 * KEYS epoch log bell index; ARGV epoch, origin, whether only missing facts are stored (1), entries that the log keeps, prefix,
 * generations, then for each fact: kind, bucket (empty if restricted), Unix time of its end, field, value
 * @returns 1, or 0 if the epoch is another one
 *
 * The index counts the restricted facts, so that the loss of any of them shows.
 */
export const publishScript: Script = {
  keys: 4,
  lua: `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local log = {'o', ARGV[2]}
local added = {T = 0, N = 0}
for i = 7, #ARGV, 5 do
  local kind, bucket, ends, field, value = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local missing = true
  if bucket == '' then
    local key = ARGV[5] .. kind
    local new
    if ARGV[3] == '1' then
      new = redis.call('HSETNX', key, field, value)
      missing = new == 1
    else
      new = redis.call('HSET', key, field, value)
    end
    added[kind] = added[kind] + new
  else
    local of = ARGV[5] .. kind .. ':'
    local at = tonumber(bucket)
    if ARGV[3] == '1' then
      for newer = at, at + ARGV[6] do
        if redis.call('HEXISTS', of .. newer, field) == 1 then missing = false end
      end
    end
    if missing then
      redis.call('HSET', of .. bucket, field, value)
      if redis.call('TTL', of .. bucket) < 0 then redis.call('EXPIREAT', of .. bucket, ends) end
      for older = at - ARGV[6], at - 1 do redis.call('HDEL', of .. older, field) end
    end
  end
  if missing then
    log[#log + 1] = kind .. field
    log[#log + 1] = value
  end
end
if redis.call('EXISTS', KEYS[4]) == 1 then
  for kind, count in pairs(added) do
    if count > 0 then redis.call('HINCRBY', KEYS[4], kind, count) end
  end
end
if #log > 2 then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', unpack(log))
  redis.call('XADD', KEYS[3], 'MAXLEN', '1', '*', 'b', '')
end
return 1`,
}

/**
 * KEYS replicas log index T N nothing; ARGV id of the replica, ms that it counts, ms that entries of the log are kept
 * @returns replicas (-1 in a full store), 1 if restricted facts are missing
 */
export const beatScript: Script = {
  keys: 6,
  lua: `redis.call('DEL', KEYS[6])
${clock}local added = redis.pcall('ZADD', KEYS[1], now, ARGV[1])
if type(added) == 'table' and added.err then return {-1, 0} end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
local tail = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
if tail[1] then
  local oldest = now - ARGV[3]
  local id = tail[1][1]
  if tonumber(string.match(id, '^%d+')) > oldest then id = string.format('%.0f', oldest) end
  redis.call('XTRIM', KEYS[2], 'MINID', id)
end
local counted = redis.call('HMGET', KEYS[3], 'T', 'N')
local short = 0
for i, count in ipairs(counted) do
  if count and redis.call('HLEN', KEYS[3 + i]) < tonumber(count) then short = 1 end
end
return {redis.call('ZCARD', KEYS[1]), short}`,
}

/** KEYS grants of a holder; ARGV place, number of places that are stored, seconds until they expire */
export const grantScript: Script = {
  keys: 1,
  lua: `${clock}redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[2])
return redis.call('EXPIRE', KEYS[1], ARGV[3])`,
}

/** KEYS lease; ARGV id, ms. @returns 1 if this replica holds the lease */
export const leadScript: Script = {
  keys: 1,
  lua: `local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`,
}

/** KEYS lease; ARGV id */
export const releaseScript: Script = {
  keys: 1,
  lua: `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`,
}

/** KEYS lease index T N; ARGV id, state. @returns 1, or 0 if another replica leads */
export const writeIndexScript: Script = {
  keys: 4,
  lua: `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'state', ARGV[2], 'T', redis.call('HLEN', KEYS[3]), 'N', redis.call('HLEN', KEYS[4]))
return 1`,
}

/** KEYS index T N nothing. @returns the state; null if there is none, or if restricted facts are missing */
export const readIndexScript: Script = {
  keys: 4,
  lua: `redis.call('DEL', KEYS[4])
local held = redis.call('HMGET', KEYS[1], 'state', 'T', 'N')
for i = 2, 3 do
  if not held[i] or redis.call('HLEN', KEYS[i]) < tonumber(held[i]) then return false end
end
return held[1]`,
}

/**
 * KEYS lease index hash; ARGV id, kind, then field and value of each entry that is removed unless it has changed
 * @returns the number of removed entries
 */
export const sweepScript: Script = {
  keys: 3,
  lua: `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local gone = 0
for i = 3, #ARGV, 2 do
  if redis.call('HGET', KEYS[3], ARGV[i]) == ARGV[i + 1] then gone = gone + redis.call('HDEL', KEYS[3], ARGV[i]) end
end
if gone > 0 and redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HINCRBY', KEYS[2], ARGV[2], -gone) end
return gone`,
}

/**
 * KEYS bucket; ARGV tokens a second, burst, wanted, spent without a lease, ms for which the bucket is shut
 * @returns granted, ms until the next token
 *
 * Tokens that were spent without a lease, while the store was unavailable, may leave a debt of up to a burst.
 */
export const leaseScript: Script = {
  keys: 1,
  lua: `${clock}local rate, burst, shut = tonumber(ARGV[1]) / 1000, tonumber(ARGV[2]), tonumber(ARGV[5])
local held = redis.call('HMGET', KEYS[1], 'level', 'at')
local level, at = tonumber(held[1]) or burst, tonumber(held[2]) or now
level = math.min(burst, level + math.max(0, now - at) * rate)
level = math.max(level - ARGV[4], math.min(level, -burst))
if shut > 0 then level = math.min(level, 1 - shut * rate) end
local granted = math.max(0, math.min(tonumber(ARGV[3]), math.floor(level + 1e-9)))
level = level - granted
redis.call('HSET', KEYS[1], 'level', string.format('%.17g', level), 'at', string.format('%.0f', math.max(now, at)))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - level) / rate) + 1000)
return {granted, math.max(0, math.ceil((1 - level) / rate))}`,
}
