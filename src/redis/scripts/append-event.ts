import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';
import { streamsLua } from './lua-streams.ts';

/**
 * Stores one event at the end of a stream, and keeps the bounds of its session.
 *
 * KEYS  1 ended, 2 streams, 3 the stream
 * ARGV  1 now or '', 2 stream id, 3 sealed event, 4 '1' when nothing may follow, 5 most events of a stream, 6 most
 *       streams, 7 most bytes of the session, 8 what an event counts for beside its text in bytes, 9 how long a complete
 *       stream stays in ms, 10 how long a stream stays without use in ms, 11 prefix of stream keys
 * Result  the event's id; nil when the stream is complete or the session was ended
 *
 * Closes the races of two writers of one terminal event, of an event that follows it, and of one that comes after the
 * end of its session: each would otherwise check, then write. Ids grow over all streams of the session, so that of a
 * stream forgotten and begun again no old id is ever given anew, even when a clock is put back.
 */
export const appendEvent: RedisScript = defineScript(
  'append-event',
  `${sessionLua}${streamsLua}
local streams, stream, streamId, prefix = KEYS[2], KEYS[3], ARGV[2], ARGV[11]
local maxEvents, maxStreams, maxBytes = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local overhead, retainMs, idleTtlMs = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local now = clock(ARGV[1])
local total = tonumber(redis.call('HGET', streams, '.bytes') or 0)
local last = redis.call('HGET', streams, '.last') or '0-0'

local function forget(name, bytes)
  redis.call('UNLINK', prefix .. name)
  redis.call('HDEL', streams, '=' .. name)
  total = total - bytes
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
  local victim
  eachStream(function(name, completedAt, bytes, lastOfIt)
    local rank = completedAt > 0 and 0 or 1
    if not victim or rank < victim.rank or (rank == victim.rank and isEarlier(lastOfIt, victim.last)) then
      victim = { name = name, bytes = bytes, last = lastOfIt, rank = rank }
    end
  end)
  forget(victim.name, victim.bytes)
end

local function oldest(key)
  local entry = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  return entry and { id = entry[1], size = #entry[2][2] + overhead }
end

local bytes = 0
local state = redis.call('HGET', streams, '=' .. streamId)
if state then
  local completedAt, bytesBefore = parseStream(state)
  if completedAt > 0 then
    if now < completedAt + retainMs then return false end
    forget(streamId, bytesBefore)
  else
    bytes = bytesBefore
  end
elseif redis.call('HLEN', streams) - 2 >= maxStreams then
  makeRoom()
end

local lastMs, lastSequence = string.match(last, '^(%d+)-(%d+)$')
local id = string.format('%d-0', now)
if now <= tonumber(lastMs) then id = string.format('%s-%d', lastMs, tonumber(lastSequence) + 1) end
redis.call('XADD', stream, id, 'd', ARGV[3])
local count = redis.call('XLEN', stream)
if count == 1 and bytes > 0 then
  -- It had expired by itself, or was emptied: what it counted for is gone.
  total = total - bytes
  bytes = 0
end
bytes = bytes + #ARGV[3] + overhead
total = total + #ARGV[3] + overhead
while count > maxEvents do
  local first = oldest(stream)
  redis.call('XDEL', stream, first.id)
  bytes = bytes - first.size
  total = total - first.size
  count = count - 1
end
redis.call('HSET', streams, '=' .. streamId, renderStream(ARGV[4] == '1' and now or 0, bytes, id))

if total > maxBytes then
  local kept = {}
  eachStream(function(name, completedAt, bytesOfIt, lastOfIt)
    local first = oldest(prefix .. name)
    if first then
      kept[#kept + 1] = { name = name, completedAt = completedAt, bytes = bytesOfIt, last = lastOfIt, first = first }
    elseif redis.call('EXISTS', prefix .. name) == 0 then
      forget(name, bytesOfIt)
    end
  end)
  while total > maxBytes do
    local victim
    for _, candidate in ipairs(kept) do
      if candidate.first and (not victim or isEarlier(candidate.first.id, victim.first.id)) then victim = candidate end
    end
    if not victim or victim.first.id == id then break end
    redis.call('XDEL', prefix .. victim.name, victim.first.id)
    victim.bytes = victim.bytes - victim.first.size
    total = total - victim.first.size
    victim.first = oldest(prefix .. victim.name)
    redis.call('HSET', streams, '=' .. victim.name, renderStream(victim.completedAt, victim.bytes, victim.last))
  end
end

redis.call('HSET', streams, '.last', id, '.bytes', total)
redis.call('PEXPIRE', stream, ARGV[4] == '1' and retainMs or idleTtlMs)
redis.call('PEXPIRE', streams, math.max(idleTtlMs, retainMs))
return id
`,
);
