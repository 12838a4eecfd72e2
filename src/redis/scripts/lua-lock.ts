/**
 * Lua that the scripts of locks begin with, behind that of `sessionLua`.
 *
 * A lock is its holder, the holder's token and the moment when it runs out. `holding(text, now)`: holder and token of a
 * lock that has not run out. `renderLock`: such a text.
 */
export const lockLua: string = `
local function holding(text, now)
  if not text then return nil end
  local holder, token, expiresAt = string.match(text, '^(%S+) (%d+) (%d+)$')
  if now >= tonumber(expiresAt) then return nil end
  return holder, tonumber(token)
end

local function renderLock(holder, token, expiresAt)
  return string.format('%s %.0f %.0f', holder, token, expiresAt)
end
`;
