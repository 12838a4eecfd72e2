/**
 * Lua that several scripts begin with.
 *
 * `clock(given)`: milliseconds since the epoch. Redis's own clock when '' is given, so that instances whose clocks
 * disagree agree on what is idle.
 *
 * `toTtl(ms, given)`: how long a key stays that must not go before `ms`. A minute longer by a clock that is not Redis's
 * own: what is over is then told by the moments that were written down.
 *
 * `head(text)`: when a session was used last, and its absolute end. A session's value is 13 digits of the one, 16 of
 * the other, then the sealed record: the clocks change in place while the record stays as it is. Ones that are no
 * numbers are not judged here: whoever opens the record finds that they were changed.
 *
 * `isOver(text, now, idleTtlMs)`: whether a session is idle for too long, or past its absolute end. Redis forgets such
 * a session at the same moment; asking keeps both on one clock.
 */
export const sessionLua: string = `
local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function toTtl(ms, given)
  return given == '' and ms or ms + 60000
end

local function head(text)
  return tonumber(string.sub(text, 1, 13)) or math.huge, tonumber(string.sub(text, 14, 29)) or math.huge
end

local function isOver(text, now, idleTtlMs)
  local usedAt, expiresAt = head(text)
  return now >= usedAt + idleTtlMs or now >= expiresAt
end
`;
