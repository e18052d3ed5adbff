-- Takes of a sliding window: the rule of src/limit/window.rs, by this server's clock.
-- KEYS[1] the subject; ARGV: the limit, the length of a slot in milliseconds, the slots of a window, how many to take.
-- Answers: whether they are granted, the time in milliseconds, and each slot with what was taken in it.
local most, width, slots, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local current = math.floor(now / width)
local newest, used, answer = current, 0, { 0, now }
local held = redis.call('HGETALL', KEYS[1])
for i = 1, #held, 2 do
  local slot, taken = tonumber(held[i]), tonumber(held[i + 1])
  if slot + slots < current then
    redis.call('HDEL', KEYS[1], held[i])
  else
    used = used + taken
    if slot > newest then newest = slot end
    answer[#answer + 1] = slot
    answer[#answer + 1] = taken
  end
end
if used + count <= most then
  answer[1] = 1
  redis.call('HINCRBY', KEYS[1], string.format('%d', newest), count)
  redis.call('PEXPIRE', KEYS[1], (slots + 1) * width)
  local is_counted = false
  for i = 3, #answer, 2 do
    if answer[i] == newest then
      answer[i + 1] = answer[i + 1] + count
      is_counted = true
    end
  end
  if not is_counted then
    answer[#answer + 1] = newest
    answer[#answer + 1] = count
  end
end
return answer
