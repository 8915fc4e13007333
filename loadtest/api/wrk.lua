-- What wrk sends in loadtest/api/run, and one line of JSON in the end.
-- Environment: WORKLOAD (get, heartbeat, route), TARGET (path), TOKEN.
local workload, target = os.getenv("WORKLOAD"), os.getenv("TARGET")
local headers = { ["Content-Type"] = "application/json" }
if os.getenv("TOKEN") ~= "" then
	headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
end

local beat = '{"status":"online","metrics":{"latency":10,"jitter":1,"packetLoss":0.5,' ..
	'"cpuUsage":5,"memoryUsage":20,"activeConnections":1,"bandwidth":{"up":10,"down":20}}}'

local function random_hex(n)
	local text = {}
	for i = 1, n do
		text[i] = string.format("%x", math.random(0, 15))
	end
	return table.concat(text)
end

local base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- 32 random bytes: 42 free characters, one that ends in two zero bits, and the padding.
local function random_key()
	local text = {}
	for i = 1, 42 do
		local at = math.random(1, 64)
		text[i] = base64:sub(at, at)
	end
	local last = 4 * math.random(0, 15) + 1
	return table.concat(text) .. base64:sub(last, last) .. "="
end

local function random_id()
	return random_hex(8) .. "-" .. random_hex(4) .. "-4" .. random_hex(3) .. "-8" ..
		random_hex(3) .. "-" .. random_hex(12)
end

function init()
	math.randomseed(os.time())
end

function request()
	if workload == "get" then
		return wrk.format("GET", target, headers)
	elseif workload == "heartbeat" then
		return wrk.format("POST", target, headers, beat)
	end
	return wrk.format("POST", target, headers, string.format(
		'{"clientId":"%s","publicKey":"%s"}', random_id(), random_key()))
end

function done(summary, latency)
	local errors = summary.errors
	io.write(string.format(
		'RESULT {"requests":%d,"seconds":%.3f,"p50_us":%d,"p99_us":%d,"bad":%d,"broken":%d}\n',
		summary.requests, summary.duration / 1e6, latency:percentile(50),
		latency:percentile(99), errors.status,
		errors.connect + errors.read + errors.write + errors.timeout))
end
