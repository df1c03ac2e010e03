-- SPDX-License-Identifier: Apache-2.0
-- proa_krpc.lua - KRPC datagrams as a tree; a part of proa.lua, which loads it from its own folder.
--
-- Wireshark has dissectors for these, but 4.0's bt-dht has no name to call it by and none takes the
-- envelope that nodes of a closed cluster put around KRPC (docs/wire_dht.md), and bencode gives up
-- at binary values.  What bt-dht takes goes there; else each value is one item, named by its path:
-- "r.id", "a.target".

local DEPTH_MAX, ITEMS_MAX = 8, 500

local F = {
    value = ProtoField.bytes("proa.krpc.value", "Value"),
    number = ProtoField.string("proa.krpc.number", "Number"),
}

-- The string that begins at `at` of raw: where its bytes begin, and how many they are; or nil.
local function string_at(raw, at)
    local digits = string.match(raw, "^%d+", at)
    if digits == nil or #digits > 5 or string.sub(raw, at + #digits, at + #digits) ~= ":" then
        return nil
    end
    local from, len = at + #digits + 1, tonumber(digits)
    if from + len - 1 > #raw then
        return nil
    end
    return from, len
end

local function is_text(text)
    return #text > 0 and string.find(text, "[^%w_ ]") == nil
end

-- Adds the value that begins at `at`, and what is in it, as items of tree.  Where the next one
-- begins, or nil: it is none.  c: raw, tvb, items so far.
local function value(c, tree, at, path, depth)
    local first = string.sub(c.raw, at, at)
    c.items = c.items + 1
    if depth > DEPTH_MAX or c.items > ITEMS_MAX then
        return nil
    end
    if first == "i" then
        local number = string.match(c.raw, "^i(%-?%d+)e", at)
        if number == nil then
            return nil
        end
        tree:add(F.number, c.tvb(at, #number)):set_text(path .. ": " .. number)
        return at + #number + 2
    elseif first ~= "l" and first ~= "d" then
        local from, len = string_at(c.raw, at)
        if from == nil then
            return nil
        end
        local text = string.sub(c.raw, from, from + len - 1)
        if len == 0 then
            tree:add(F.value):set_text(path .. ":")
        else
            local bytes = c.tvb(from - 1, len)
            tree:add(F.value, bytes):set_text(path .. ": " ..
                (is_text(text) and text or tostring(bytes:bytes())))
        end
        return from + len
    end
    at = at + 1
    for i = 0, ITEMS_MAX do
        if at > #c.raw then
            return nil
        elseif string.sub(c.raw, at, at) == "e" then
            return at + 1
        end
        local name = tostring(i)
        if first == "d" then
            local from, len = string_at(c.raw, at)
            if from == nil then
                return nil
            end
            name = string.sub(c.raw, from, from + len - 1)
            name = is_text(name) and name or "?"
            at = from + len
        end
        at = value(c, tree, at, path == "" and name or path .. "." .. name, depth + 1)
        if at == nil then
            return nil
        end
    end
    return nil
end

local SAYS = { q = "query", r = "answer", e = "error" }

local function info(raw)
    local says = SAYS[string.match(raw, "1:y1:([qre])e$")] or "KRPC"
    local query = string.match(raw, "1:q%d+:([%l_]+)1:[tv]")
    return query ~= nil and says .. " " .. query or says
end

-- Dissects a datagram below root.  malformed: what to call with a tree and a sentence.
local function dissect(proto, tvb, pinfo, root, malformed)
    local bt_dht = Dissector.get("bt-dht")
    if bt_dht == nil or bt_dht:call(tvb, pinfo, root) == 0 then
        local c = { raw = tvb:raw(), tvb = tvb, items = 0 }
        local tree = root:add(proto, tvb(), "KRPC datagram, " .. info(c.raw))
        if value(c, tree, 1, "", 0) ~= #c.raw + 1 and tvb:len() == tvb:reported_len() then
            malformed(tree, "no bencoded dictionary")
        end
    end
    pinfo.cols.protocol = "KRPC"
    pinfo.cols.info = info(tvb:raw())
    return tvb:len()
end

return { fields = { F.value, F.number }, dissect = dissect }
