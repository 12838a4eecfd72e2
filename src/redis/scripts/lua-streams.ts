/**
 * Lua that knows how a session's streams are kept.
 *
 * `streams` is a hash: `.last`, the last event id given on any stream; `.bytes`, of all of them together; and for each
 * stream `=` and its id, with when it was completed (0: it runs), its bytes, and its last event id.
 *
 * The key of a stream is made from the prefix and its id, which come from that hash: all are of the session's hash tag,
 * so of one slot.
 */
export const streamsLua: string = `
local function parseStream(state)
  local completedAt, bytes, last = string.match(state, '^(%d+) (%d+) (.+)$')
  return tonumber(completedAt), tonumber(bytes), last
end

local function renderStream(completedAt, bytes, last)
  return string.format('%d %d %s', completedAt, bytes, last)
end

local function isEarlier(a, b)
  local aMs, aSequence = string.match(a, '^(%d+)-(%d+)$')
  local bMs, bSequence = string.match(b, '^(%d+)-(%d+)$')
  if aMs ~= bMs then return tonumber(aMs) < tonumber(bMs) end
  return tonumber(aSequence) < tonumber(bSequence)
end

local function forgetStreams(streams, prefix)
  for _, field in ipairs(redis.call('HKEYS', streams)) do
    if string.sub(field, 1, 1) == '=' then redis.call('UNLINK', prefix .. string.sub(field, 2)) end
  end
  redis.call('DEL', streams)
end
`;
