-- What a script sees instead of Lua's own globals. Runs once for each interpreter and gives back a function that makes
-- the globals of one run.
local native, open_libraries = ...
local raw_next, raw_type, raw_pcall = next, type, pcall
local raw_rawget, raw_select, raw_tostring, raw_error = rawget, select, tostring, error
local raw_getmetatable, raw_setmetatable = getmetatable, setmetatable
local raw_ipairs, raw_unpack, raw_tonumber, raw_assert = ipairs, unpack, tonumber, assert
local raw_rawset, raw_rawequal = rawset, rawequal
local sort = table.sort
local randomseed = math.randomseed
local libraries = { table = table, string = open_libraries.string, math = math }

-- A script reaches what text can do through this table, and nobody can reach the table.
local text = raw_getmetatable("")
text.__metatable = false

-- What a script catches may be the end of its instructions: that is raised again.
local function settled(...)
    native.check()
    return ...
end

local function guarded_pcall(...)
    return settled(raw_pcall(...))
end

-- The handler is called after the fact: while an error is under way instructions are not counted.
local function handled(handler, succeeded, ...)
    native.check()
    if succeeded then
        return true, ...
    end
    local _, made = raw_pcall(handler, ...)
    native.check()
    return false, made
end

local function guarded_xpcall(tried, handler, ...)
    return handled(handler, raw_pcall(tried, ...))
end

local ranks = { number = 1, string = 2, boolean = 3 }

local function before(left, right)
    local left_rank, right_rank = ranks[raw_type(left)] or 4, ranks[raw_type(right)] or 4
    if left_rank ~= right_rank then
        return left_rank < right_rank
    end
    if left_rank <= 2 then
        return left < right
    end
    if left_rank == 3 then
        return right and not left
    end
    return false
end

-- Walks a table in the order of its keys: the order of a hash would differ from run to run, and a message with it.
local function ordered_pairs(...)
    local walked = ...
    if raw_type(walked) ~= "table" then
        local found = raw_select("#", ...) == 0 and "no value" or raw_type(walked)
        raw_error("bad argument #1 to 'pairs' (table expected, got " .. found .. ")", 2)
    end
    local keys, count = {}, 0
    for key in raw_next, walked do
        count = count + 1
        keys[count] = key
    end
    sort(keys, before)
    local index = 0
    return function()
        while index < count do
            index = index + 1
            local key = keys[index]
            local value = raw_rawget(walked, key)
            if value ~= nil then
                return key, value
            end
        end
    end, walked, nil
end

-- An address would differ from run to run.
local function plain_tostring(...)
    local value = ...
    local kind = raw_type(value)
    if kind == "table" then
        local metatable = raw_getmetatable(value)
        if raw_type(metatable) ~= "table" or raw_rawget(metatable, "__tostring") == nil then
            return "table"
        end
    elseif kind == "function" then
        return "function"
    end
    return raw_tostring(...)
end

local function copied(library)
    local copy = {}
    for name, entry in raw_next, library do
        copy[name] = entry
    end
    return copy
end

return function(is_open, seed)
    local globals = {
        _VERSION = "Lua 5.1",
        assert = raw_assert,
        error = raw_error,
        getmetatable = raw_getmetatable,
        ipairs = raw_ipairs,
        next = raw_next,
        pairs = ordered_pairs,
        pcall = guarded_pcall,
        print = function() end,
        rawequal = raw_rawequal,
        rawget = raw_rawget,
        rawset = raw_rawset,
        select = raw_select,
        setmetatable = raw_setmetatable,
        tonumber = raw_tonumber,
        tostring = plain_tostring,
        type = raw_type,
        unpack = raw_unpack,
        xpcall = guarded_xpcall,
        table = copied(libraries.table),
        os = { time = native.time, date = native.date },
    }
    globals._G = globals
    if is_open then
        globals.string = copied(libraries.string)
        globals.math = copied(libraries.math)
        text.__index = libraries.string
        randomseed(seed)
    else
        text.__index = nil
    end
    local loaded = { table = globals.table, os = globals.os, string = globals.string, math = globals.math, _G = globals }
    function globals.require(name)
        local library = loaded[name]
        if library == nil then
            raw_error("module " .. raw_tostring(name) .. " not found", 2)
        end
        return library
    end
    function globals.load(source, name)
        if raw_type(source) ~= "string" then
            return nil, "only text can be loaded"
        end
        return native.compile(source, name, globals)
    end
    globals.loadstring = globals.load
    return globals
end
