-- What wrk sends: the bodies of a file, one a line, in turn. What it says at the end: one line of JSON.
local requests, last = {}, 0

function init(arguments)
   local headers = {["Content-Type"] = "application/json"}
   for body in io.lines(arguments[1]) do
      requests[#requests + 1] = wrk.format("POST", nil, headers, body)
   end
end

function request()
   last = last % #requests + 1
   return requests[last]
end

function done(summary, latency)
   local failed = summary.errors
   local n_errors = failed.connect + failed.read + failed.write + failed.status + failed.timeout
   print(string.format(
      '{"p50_ms": %.3f, "p95_ms": %.3f, "p99_ms": %.3f, "requests_s": %.1f, "n_requests": %d, "n_errors": %d}',
      latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3,
      summary.requests / summary.duration * 1e6, summary.requests, n_errors
   ))
end
