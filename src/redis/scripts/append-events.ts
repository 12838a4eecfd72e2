import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';
import { streamsLua } from './lua-streams.ts';

/** How many events of a stream are looked at for one that is being repeated: other writers may have come between. */
const repeatedWithin = 3;

/**
 * Stores events at the end of a stream, one after the other, and keeps the bounds of its session.
 *
 * KEYS  1 ended, 2 streams, 3 the stream
 * ARGV  1 now or '', 2 stream id, 3 '1' when nothing may follow the last, 4 most events of a stream, 5 most streams,
 *       6 most bytes of the session, 7 what an event counts for beside its text in bytes, 8 how long a complete stream
 *       stays in ms, 9 how long a stream stays without use in ms, 10 prefix of stream keys, 11... sealed events
 * Result  the last event's place; nil when the stream is complete or the session was ended
 *
 * Of the same sealed events it stores one set: sealing makes each text another, so when the last is there they are being
 * repeated by a writer that was not told of its success. It may repeat the last few; a writer goes on only once it is told.
 *
 * Closes the races of two writers of one terminal event, of an event that follows it, and of one that comes after the
 * end of its session: each would otherwise check, then write.
 */
export const appendEvents: RedisScript = defineScript(
  'append-events',
  `${sessionLua}${streamsLua}
local streams, stream, streamId, prefix, newest = KEYS[2], KEYS[3], ARGV[2], ARGV[10], ARGV[#ARGV]
local maxEvents, maxStreams, maxBytes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local overhead, retainMs, idleTtlMs = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local now = clock(ARGV[1])
local total = tonumber(redis.call('HGET', streams, '.bytes') or 0)

local function save(name, known)
  redis.call('HSET', streams, '=' .. name, renderStream(known))
end

local function forget(name, known)
  redis.call('UNLINK', prefix .. name)
  redis.call('HDEL', streams, '=' .. name)
  total = total - known.bytes
end

local function dropFirst(key, known)
  local size = #redis.call('LPOP', key) + overhead
  known.first = known.first + 1
  known.bytes = known.bytes - size
  total = total - size
end

local function eachStream(visit)
  local all = redis.call('HGETALL', streams)
  for index = 1, #all, 2 do
    if string.sub(all[index], 1, 1) == '=' then
      visit(string.sub(all[index], 2), parseStream(all[index + 1]))
    end
  end
end

-- Complete ones first, then the one that was longest without an event.
local function makeRoom()
  local victim, victimName
  eachStream(function(name, known)
    local isComplete = known.completedAt > 0
    if not victim or (isComplete and victim.completedAt == 0)
      or (isComplete == (victim.completedAt > 0) and known.order < victim.order) then
      victim, victimName = known, name
    end
  end)
  forget(victimName, victim)
end

local state = redis.call('HGET', streams, '=' .. streamId)
local known = state and parseStream(state)
if known and isWhole(stream, known) then
  for back, event in ipairs(redis.call('LRANGE', stream, -${repeatedWithin}, -1)) do
    if string.sub(event, -#newest) == newest then
      local count = math.min(${repeatedWithin}, known.next - known.first)
      return string.format('%d-%d', known.epoch, known.next - count + back - 1)
    end
  end
end
if known and known.completedAt > 0 and now < known.completedAt + retainMs then return false end
if known and (known.completedAt > 0 or not isWhole(stream, known)) then
  -- Past its time; or it expired by itself, and goes on as another.
  forget(streamId, known)
  known = nil
end
if not known then
  -- Three of the fields are no streams.
  if redis.call('HLEN', streams) - 3 >= maxStreams then makeRoom() end
  local epoch = math.max(now, tonumber(redis.call('HGET', streams, '.epoch') or 0) + 1)
  redis.call('HSET', streams, '.epoch', epoch)
  known = { completedAt = 0, bytes = 0, epoch = epoch, first = 0, next = 0, order = 0 }
end

local firstOrder = redis.call('HINCRBY', streams, '.order', #ARGV - 10) - (#ARGV - 10)
for index = 11, #ARGV do
  known.order = firstOrder + index - 10
  local event = known.order .. ' ' .. ARGV[index]
  redis.call('RPUSH', stream, event)
  known.next = known.next + 1
  known.bytes = known.bytes + #event + overhead
  total = total + #event + overhead
end
local place = string.format('%d-%d', known.epoch, known.next - 1)
if ARGV[3] == '1' then known.completedAt = now end
while known.next - known.first > maxEvents do dropFirst(stream, known) end
save(streamId, known)

if total > maxBytes then
  local oldestOf = {}
  local function look(name, other)
    local oldest = redis.call('LINDEX', prefix .. name, 0)
    other.oldest = oldest and tonumber(string.match(oldest, '^%d+'))
    oldestOf[name] = oldest and other or nil
  end
  eachStream(function(name, other)
    if isWhole(prefix .. name, other) then look(name, other) else forget(name, other) end
  end)
  while total > maxBytes do
    local victim, victimName
    for name, other in pairs(oldestOf) do
      if not victim or other.oldest < victim.oldest then victim, victimName = other, name end
    end
    if not victim or victim.oldest == known.order then break end
    dropFirst(prefix .. victimName, victim)
    save(victimName, victim)
    look(victimName, victim)
  end
end

redis.call('HSET', streams, '.bytes', total)
redis.call('PEXPIRE', stream, toTtl(ARGV[3] == '1' and retainMs or idleTtlMs, ARGV[1]))
redis.call('PEXPIRE', streams, toTtl(math.max(idleTtlMs, retainMs), ARGV[1]))
return place
`,
  { isRepeatable: true },
);
