/**
 * Lua that knows how a session's streams are kept.
 *
 * A stream is a list of its events, each a number that grows over all streams of the session, a space, and the sealed
 * text. Not a Redis stream: one of those takes 4.7 KB for its first event, and most streams have few.
 *
 * `streams` is a hash. `.order`: the number of the session's last event; `.epoch`: the last epoch given; `.bytes`: of
 * all events together; and for each stream `=` and its id, with six numbers: when it was completed (0: it runs), its
 * bytes, its epoch, the position of its first event and of its next one, the number of its last event.
 *
 * An event's id is `<epoch>-<position>`. Positions follow each other without a hole, so that of a cursor they tell where
 * in the list it is. An epoch is the moment when a stream began, and later than every other one of the session, even
 * when a clock is put back: of a stream that was forgotten and begun again no old id is ever given anew.
 *
 * The key of a stream is made from the prefix and its id, which come from that hash: all are of the session's hash tag,
 * so of one slot.
 */
export const streamsLua: string = `
local function parseStream(state)
  local completedAt, bytes, epoch, first, next, order = string.match(state, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  return {
    completedAt = tonumber(completedAt), bytes = tonumber(bytes), epoch = tonumber(epoch),
    first = tonumber(first), next = tonumber(next), order = tonumber(order),
  }
end

local function renderStream(known)
  return string.format(
    '%d %d %d %d %d %d', known.completedAt, known.bytes, known.epoch, known.first, known.next, known.order
  )
end

local function isWhole(key, known)
  return redis.call('LLEN', key) == known.next - known.first
end

local function forgetStreams(streams, prefix)
  for _, field in ipairs(redis.call('HKEYS', streams)) do
    if string.sub(field, 1, 1) == '=' then redis.call('UNLINK', prefix .. string.sub(field, 2)) end
  end
  redis.call('DEL', streams)
end
`;
