-- One request after the other of all that a server is to be asked for:
-- wrk -s requests.lua URL -- PAUSE_MS GET/PATH POST/PATH ...
local pause
local requests = {}
local at = 0

function init(args)
    pause = tonumber(args[1])
    for index = 2, #args do
        local method, path = args[index]:match("^(%u+)(/.*)$")
        local body = method == "POST" and '{"user": 7, "items": ["tea", "cup"]}' or nil
        requests[#requests + 1] = wrk.format(method, path, {["Content-Type"] = "application/json"}, body)
    end
end

function delay()
    return pause
end

function request()
    at = at % #requests + 1
    return requests[at]
end
