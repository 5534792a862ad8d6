"""What Redis does in one go, in its own language.

Keys begin with a prefix in braces, so that a cluster keeps all of a namespace in one place:

  epoch      hash: id, run (the server's, and which sealing key is in use), until (milliseconds:
             until then things may be missing)
  p:NAME     a part, sealed; a header says its epoch, its version, its salt (the token)
  m:NAME     what is remembered of a message id: the step that took it, and the rest sealed
  f:NAME     there, and signed, where a message became final after it first came out
  o:STEP     what a step gave out, sealed, until it is acknowledged
  due        sorted set: when to look at which part, in the time of messages
  out        sorted set: which steps are not acknowledged, by the server's time

The epoch is another one as soon as something may have been lost: the server runs anew (what it
wrote to disk may be old), its data are gone though a worker knows of some, the sealing key is
another one, or a worker says so.
"""

from __future__ import annotations

# Where a part's token stands in what is kept: see `redis.HEADER`.
TOKEN_FROM, TOKEN_TO = 26, 41

# ARGV: prefix, fresh epoch id, known epoch id, milliseconds things may be missing for, declare a
# loss, the key's mark, acknowledged steps (count, ids), message name or "", quiet (0 or 1: m value,
# m TTL, step id, o value, o TTL), part names.
LOAD = """
local prefix, fresh, known, missing_for, declare = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local at = 8
for i = 1, tonumber(ARGV[7]) do
  redis.call('DEL', prefix .. 'o:' .. ARGV[at])
  redis.call('ZREM', prefix .. 'out', ARGV[at])
  at = at + 1
end
-- Where INFO is not to be had, a restart that kept its data is not noticed.
local info = redis.pcall('INFO', 'server')
local run = (type(info) == 'string' and string.match(info, 'run_id:(%w+)') or '') .. ARGV[6]
local epoch = redis.call('HMGET', KEYS[1], 'id', 'run', 'until')
local id, until_ = epoch[1], tonumber(epoch[3] or 0)
-- An epoch that began as if nothing had been before, though this worker knows of one before it.
local unaware = known ~= '' and known ~= id and until_ == 0
if not id or epoch[2] ~= run or declare == '1' or unaware then
  if id or known ~= '' or declare == '1' then until_ = now + missing_for else until_ = 0 end
  id = fresh
  redis.call('HSET', KEYS[1], 'id', id, 'run', run, 'until', until_)
end
local missing = now < until_
local m, o = false, false
local mname = ARGV[at]
if mname ~= '' then
  m = redis.call('GET', prefix .. 'm:' .. mname)
  if m then o = redis.call('GET', prefix .. 'o:' .. string.sub(m, 1, 16)) end
end
local quiet = ARGV[at + 1] == '1'
local q = at + 2
at = at + 2
if quiet then at = at + 5 end
local found, free = {}, not m and not missing
for i = at, #ARGV do
  local part = redis.call('GET', prefix .. 'p:' .. ARGV[i])
  local due = redis.call('ZSCORE', prefix .. 'due', ARGV[i])
  if part or due then free = false end
  found[#found + 1] = part
  found[#found + 1] = due and 1 or 0
end
if quiet and free then
  redis.call('SET', prefix .. 'm:' .. mname, ARGV[q], 'PX', ARGV[q + 1])
  redis.call('SET', prefix .. 'o:' .. ARGV[q + 2], ARGV[q + 3], 'PX', ARGV[q + 4])
  redis.call('ZADD', prefix .. 'out', now, ARGV[q + 2])
  return {id, 0, clock[1] .. '', clock[2] .. '', 1}
end
return {id, missing and 1 or 0, clock[1] .. '', clock[2] .. '', 0, m, o, found}
"""

# ARGV: prefix, epoch id, parts (count; name, token, value or "", due or "", TTL), seen (count;
# name, value), finals (count; name, value), TTL of what is remembered, step id, o value or "",
# TTL of o, replaced step or "".
STORE = f"""
local prefix, epoch = ARGV[1], ARGV[2]
if redis.call('HGET', KEYS[1], 'id') ~= epoch then return 0 end
local parts = tonumber(ARGV[3])
local at = 4
for i = 1, parts do
  local kept = redis.call('GET', prefix .. 'p:' .. ARGV[at])
  if (kept and string.sub(kept, {TOKEN_FROM}, {TOKEN_TO}) or '') ~= ARGV[at + 1] then return 0 end
  at = at + 5
end
at = 4
for i = 1, parts do
  local name, value, due = ARGV[at], ARGV[at + 2], ARGV[at + 3]
  if value == '' then redis.call('DEL', prefix .. 'p:' .. name)
  else redis.call('SET', prefix .. 'p:' .. name, value, 'PX', ARGV[at + 4]) end
  if due == '' then redis.call('ZREM', prefix .. 'due', name)
  else redis.call('ZADD', prefix .. 'due', due, name) end
  at = at + 5
end
local seen = at
at = at + 1 + 2 * tonumber(ARGV[at])
local finals = at
at = at + 1 + 2 * tonumber(ARGV[at])
local remember, step, out = ARGV[at], ARGV[at + 1], ARGV[at + 2]
local keep, replaces = ARGV[at + 3], ARGV[at + 4]
for i = 1, tonumber(ARGV[seen]) do
  redis.call('SET', prefix .. 'm:' .. ARGV[seen + 2 * i - 1], ARGV[seen + 2 * i], 'PX', remember)
end
for i = 1, tonumber(ARGV[finals]) do
  local name, value = ARGV[finals + 2 * i - 1], ARGV[finals + 2 * i]
  redis.call('SET', prefix .. 'f:' .. name, value, 'PX', remember)
end
if replaces ~= '' then
  redis.call('DEL', prefix .. 'o:' .. replaces)
  redis.call('ZREM', prefix .. 'out', replaces)
end
if out ~= '' then
  local clock = redis.call('TIME')
  redis.call('SET', prefix .. 'o:' .. step, out, 'PX', keep)
  redis.call('ZADD', prefix .. 'out', clock[1] * 1000 + math.floor(clock[2] / 1000), step)
end
return 1
"""

# ARGV: prefix, milliseconds a lease lasts, limit. Gives ids and values in turn.
CLAIM = """
local prefix = ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local claimed = {}
local late = redis.call(
  'ZRANGEBYSCORE', prefix .. 'out', '-inf', now - ARGV[2], 'LIMIT', 0, ARGV[3])
for _, step in ipairs(late) do
  local value = redis.call('GET', prefix .. 'o:' .. step)
  if value then
    redis.call('ZADD', prefix .. 'out', now, step)
    claimed[#claimed + 1] = step
    claimed[#claimed + 1] = value
  else
    redis.call('ZREM', prefix .. 'out', step)
  end
end
return claimed
"""
