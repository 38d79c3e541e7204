-- Asks functions of a table in random order: FUNCTIONS of them, named f0, f1 and so on.
local functions = tonumber(os.getenv("FUNCTIONS"))

function init()
  math.randomseed(1)
end

function request()
  return wrk.format("GET", "/function/f" .. math.random(0, functions - 1) .. "/")
end
