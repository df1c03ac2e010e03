-- SPDX-License-Identifier: Apache-2.0
-- proa.lua - Wireshark's view of proa: the packets of links, field by field (docs/wire.md).
--
--   wireshark -X lua_script:tools/proa.lua FILE   (or copy tools/*.lua to its folder of plugins)
--
-- It takes UDP port 7400; the preference proa.ports takes others.  proa_fields.lua and
-- proa_krpc.lua, which it loads, lie beside it.  What no node would take is marked proa.malformed,
-- by the rules that nodes go by; what the capture cut off is marked proa.cut.  Sealed packets are
-- shown as such: nobody without the link's keys can read them.

local proa = Proto("proa", "proa link packet")

local HEADER, TAG, KEYED, OPENING = 32, 16, 80, 224
local SYSTEM_TYPE, GENERATION_NONE = 0x80000000, 0
local MESSAGE_CAP, US_LEFT_MAX, HOPS_MAX = 16 * 1024 * 1024, 3600000000, 8
local MTU_MIN, MTU_MAX, BITMAP_MAX = 1224, 9216, 128

-- ---- The files beside this one ----

local HERE = __DIR__ ~= "" and __DIR__ .. "/" or ""
local names, krpc = dofile(HERE .. "proa_fields.lua"), dofile(HERE .. "proa_krpc.lua")
local F, KINDS, SYSTEM, layout = names.fields, names.kinds, names.system, names.layout

local all = names.list
for _, one in ipairs(krpc.fields) do
    all[#all + 1] = one
end
proa.fields = all

local E = {
    malformed = ProtoExpert.new("proa.malformed", "Malformed: a node drops it",
        expert.group.MALFORMED, expert.severity.ERROR),
    body = ProtoExpert.new("proa.body", "The body is too short or says what it cannot",
        expert.group.PROTOCOL, expert.severity.WARN),
    cut = ProtoExpert.new("proa.cut", "The capture cut the packet off here",
        expert.group.UNDECODED, expert.severity.NOTE),
    sealed = ProtoExpert.new("proa.is_sealed", "Sealed: not readable without the link's keys",
        expert.group.UNDECODED, expert.severity.NOTE),
}
proa.experts = { E.malformed, E.body, E.cut, E.sealed }

-- ---- Bounds ----

-- How long the link packet at hand is; its tvb ends where the capture does.
local packet_len = 0

-- False, and the tree says why, unless len bytes from at on were captured.
local function have(tvb, tree, at, len)
    if at + len <= tvb:len() then
        return true
    end
    if at + len <= packet_len then
        tree:add_proto_expert_info(E.cut)
    else
        tree:add_proto_expert_info(E.malformed, string.format(
            "Malformed: %d bytes wanted at %d, %d are there", len, at,
            math.max(0, packet_len - at)))
    end
    return false
end

local function malformed(tree, why)
    tree:add_proto_expert_info(E.malformed, "Malformed: " .. why)
    return false
end

-- Adds fields one behind the other; rows are {field, bytes}.  The caller has checked the room.
local function put(tvb, tree, at, rows)
    for _, row in ipairs(rows) do
        tree:add_le(row[1], tvb(at, row[2]))
        at = at + row[2]
    end
    return at
end

local function is_zero(tvb, at, len)
    for i = at, at + len - 1 do
        if tvb(i, 1):uint() ~= 0 then
            return false
        end
    end
    return true
end

local function bit(value, mask)
    return math.floor(value / mask) % 2 == 1
end

-- ---- System messages and services ----

local REFUSAL = "sys_node 8 sys_slot 4 sys_generation 4 sys_other_slot 4 sys_other_generation 4 " ..
    "sys_type 4 sys_correlation 4 sys_count 4 sys_reason 1 sys_zero 3"
local ACTOR = layout("sys_slot 4 sys_generation 4")
local WATCH = layout("sys_slot 4 sys_generation 4 sys_other_slot 4 sys_other_generation 4 " ..
    "sys_index 4 sys_serial 4 sys_end 1 sys_watch_flags 1 sys_zero 2 sys_code 4 " ..
    "sys_next_slot 4 sys_next_generation 4")
local BODIES = {
    [0x80000001] = layout(REFUSAL), [0x80000002] = ACTOR, [0x80000003] = ACTOR,
    [0x80000004] = layout("sys_stream 4 sys_zero 4 " .. REFUSAL),
    [0x80000005] = WATCH, [0x80000007] = WATCH, [0x80000008] = WATCH,
    [0x80000009] = layout("sys_port 2 sys_zero 6"),
    [0x80000006] = layout("sys_node 8 sys_slot 4 sys_generation 4 sys_other_slot 4 " ..
        "sys_other_generation 4 sys_correlation 4 sys_hops 4"),
}

local function system_body(tvb, tree, at, len, type)
    local rows = BODIES[type]
    if rows == nil then
        return
    end
    if len < rows.bytes then
        tree:add_proto_expert_info(E.body, string.format(
            "%s has %d bytes, %d wanted", SYSTEM[type], len, rows.bytes))
        return
    end
    put(tvb, tree, at, rows)
end

local function spawn_ask(tvb, tree, at, len)
    if len < 8 then
        tree:add_proto_expert_info(E.body, "SPAWN without its lengths")
        return
    end
    local name, arg = tvb(at, 1):uint(), tvb(at + 2, 2):le_uint()
    local padded = math.ceil(name / 8) * 8
    tree:add_le(F.spawn_name_len, tvb(at, 1))
    tree:add_le(F.spawn_arg_len, tvb(at + 2, 2))
    if name == 0 or name > 63 or arg > 1024 or 8 + padded + arg ~= len then
        tree:add_proto_expert_info(E.body, "SPAWN's lengths contradict each other")
        return
    end
    tree:add(F.spawn_name, tvb(at + 8, name))
    if arg > 0 then
        tree:add(F.spawn_arg, tvb(at + 8 + padded, arg))
    end
end

local function spawn_reply(tvb, tree, at, len)
    if len < 16 then
        tree:add_proto_expert_info(E.body, "the answer to SPAWN is too short")
        return
    end
    tree:add_le(F.spawn_result, tvb(at, 4))
    tree:add_le(F.spawn_slot, tvb(at + 8, 4))
    tree:add_le(F.spawn_generation, tvb(at + 12, 4))
end

local function multicast(tvb, tree, at, len)
    local name = len >= 8 and tvb(at, 1):uint() or 0
    local front = 8 + math.ceil(name / 8) * 8
    if name == 0 or front > len or len - front > 1024 then
        tree:add_proto_expert_info(E.body, "MULTICAST's lengths contradict each other")
        return
    end
    tree:add(F.multicast_len, tvb(at, 1))
    tree:add(F.multicast_group, tvb(at + 8, name))
    if len > front then
        tree:add(F.multicast_data, tvb(at + front, len - front))
    end
end

-- Services have generation 0 and their number in the slot's low 24 bits: 1 makes actors, 2 tells the
-- members of a group.
local function is_service(slot, generation, number)
    return generation == GENERATION_NONE and slot % 0x1000000 == number
end

-- ---- Messages ----

-- What of a message's head nodes refuse; nil: nothing.
local function head_fault(m, first)
    if m.flags >= 0x40 then
        return "a flag that does not exist"
    elseif m.class > 2 then
        return "class 3"
    elseif m.hops > HOPS_MAX then
        return "more than 8 hops"
    elseif m.system ~= (m.type >= SYSTEM_TYPE) then
        return "SYSTEM and the type's highest bit differ"
    elseif m.system and (m.ask or m.reply or m.frag or m.foreign) then
        return "SYSTEM with ASK, REPLY, FRAG or FOREIGN"
    elseif m.ask and m.reply then
        return "ASK with REPLY"
    elseif first and m.same then
        return "SAME in the first message"
    end
end

local function read_head(tvb, at)
    local flags, how = tvb(at + 2, 1):uint(), tvb(at + 3, 1):uint()
    local m = {
        len = tvb(at, 2):le_uint(), flags = flags, class = how % 4, hops = math.floor(how / 4),
        type = tvb(at + 4, 4):le_uint(), ask = bit(flags, 1), reply = bit(flags, 2),
        system = bit(flags, 4), frag = bit(flags, 8), foreign = bit(flags, 0x10),
        same = bit(flags, 0x20),
    }
    m.overhead = (m.same and 8 or 24) + (m.frag and 16 or 0) + (m.foreign and 8 or 0) +
        ((m.ask or m.reply) and 8 or 0)
    m.padded = math.ceil(m.len / 8) * 8
    return m
end

local function put_head(tvb, tree, at, m)
    tree:add_le(F.len, tvb(at, 2))
    local flags = tree:add_le(F.msg_flags, tvb(at + 2, 1))
    for _, one in ipairs({ F.ask, F.reply, F.system, F.frag, F.foreign, F.same }) do
        flags:add_le(one, tvb(at + 2, 1))
    end
    tree:add_le(F.class, tvb(at + 3, 1))
    tree:add_le(F.hops, tvb(at + 3, 1))
    local type = tree:add_le(F.type, tvb(at + 4, 4))
    m.name = SYSTEM[m.type]
    if m.name == nil and m.type >= 0x80000010 and m.type <= 0x8000001f then
        m.name = "REGISTRY"
    end
    if m.name ~= nil then
        type:append_text(" " .. m.name)
    end
end

local ENDPOINTS = layout("dst_slot 4 dst_generation 4 src_slot 4 src_generation 4")
local FRAGMENT = layout("stream 4 offset 4 total 4 frag_zero 4")
local ASKED = layout("correlation 4 us_left 4")

-- Receiver and sender: here, or with SAME where the message before has them.
local function put_endpoints(tvb, tree, m, from)
    for i, row in ipairs(ENDPOINTS) do
        local item = tree:add_le(row[1], tvb(from + 4 * (i - 1), 4))
        if m.same then
            item:set_generated()
        end
    end
    m.dst_slot, m.dst_generation = tvb(from, 4):le_uint(), tvb(from + 4, 4):le_uint()
    m.src_slot, m.src_generation = tvb(from + 8, 4):le_uint(), tvb(from + 12, 4):le_uint()
end

-- Adds the extensions; false when one says what it cannot.
local function put_extensions(tvb, tree, at, m)
    if m.frag then
        put(tvb, tree, at, FRAGMENT)
        local offset, total = tvb(at + 4, 4):le_uint(), tvb(at + 8, 4):le_uint()
        if total == 0 or total > MESSAGE_CAP or m.len == 0 or offset + m.len > total then
            return malformed(tree, "a fragment that is empty, or not within its message")
        end
        at = at + 16
    end
    if m.foreign then
        tree:add_le(F.foreign_node, tvb(at, 8))
        if is_zero(tvb, at, 8) then
            return malformed(tree, "a foreign message of nobody")
        end
        at = at + 8
    end
    if m.ask or m.reply then
        put(tvb, tree, at, ASKED)
        if tvb(at + 4, 4):le_uint() > US_LEFT_MAX then
            return malformed(tree, "more than an hour left")
        end
    end
    return true
end

local function put_payload(tvb, tree, at, m)
    if m.len > 0 then
        tree:add(F.payload, tvb(at, m.len))
    end
    if m.padded > m.len then
        tree:add(F.msg_padding, tvb(at + m.len, m.padded - m.len))
    end
    if m.system then
        system_body(tvb, tree, at, m.len, m.type)
    elseif m.ask and not m.frag and is_service(m.dst_slot, m.dst_generation, 1) and m.type == 1 then
        m.name = "SPAWN"
        spawn_ask(tvb, tree, at, m.len)
    elseif m.reply and not m.frag and is_service(m.src_slot, m.src_generation, 1) and m.type == 1 then
        m.name = "SPAWN's answer"
        spawn_reply(tvb, tree, at, m.len)
    elseif not m.ask and not m.reply and not m.frag and
        is_service(m.dst_slot, m.dst_generation, 2) then
        m.name = "MULTICAST"
        multicast(tvb, tree, at, m.len)
    end
end

local function describe(m)
    local what = m.system and "system" or m.ask and "ask" or m.reply and "reply" or "tell"
    if m.frag then
        what = what .. " fragment"
    end
    return string.format("%s %s, %d bytes", what, m.name or tostring(m.type), m.len)
end

-- One message at `at`; where the next one begins, or nil.  seen.at: the last endpoints.
local function message(tvb, root, at, seen)
    local tree = root:add(F.message, tvb(at, math.min(8, tvb:len() - at)))
    if not have(tvb, tree, at, 8) then
        return nil
    end
    local m = read_head(tvb, at)
    put_head(tvb, tree, at, m)
    local fault = head_fault(m, seen.at == nil)
    if fault ~= nil then
        malformed(tree, fault)
        return nil
    end
    if not have(tvb, tree, at, m.overhead) then
        return nil
    end
    tree:set_len(math.min(m.overhead + m.padded, tvb:len() - at))
    if not m.same then
        seen.at = at + 8
    end
    put_endpoints(tvb, tree, m, seen.at)
    local fine = put_extensions(tvb, tree, at + (m.same and 8 or 24), m)
    if not fine or not have(tvb, tree, at + m.overhead, m.padded) then
        return nil
    end
    put_payload(tvb, tree, at + m.overhead, m)
    tree:append_text(": " .. describe(m))
    return at + m.overhead + m.padded, describe(m)
end

local function data_body(tvb, tree)
    local at, count, first, seen = HEADER, 0, nil, {}
    if (packet_len - HEADER) % 8 ~= 0 then
        malformed(tree, "its length is no multiple of 8")
    end
    if at == packet_len then
        malformed(tree, "no message")
    end
    while at ~= nil and at < packet_len do
        local what
        if not have(tvb, tree, at, 1) then
            break
        end
        at, what = message(tvb, tree, at, seen)
        if at ~= nil then
            count = count + 1
            first = first or what
        end
    end
    if count == 1 then
        return first
    end
    return string.format("%d messages%s", count, first ~= nil and ": " .. first .. ", ..." or "")
end

local function ack_body(tvb, tree)
    local len = packet_len - HEADER
    if len > BITMAP_MAX or len % 8 ~= 0 then
        malformed(tree, "a bitmap of " .. len .. " bytes")
    elseif len > 0 and have(tvb, tree, HEADER, len) then
        tree:add(F.bitmap, tvb(HEADER, len))
    end
    return len > 0 and "with bitmap" or nil
end

local function sealed_body(tvb, tree)
    tree:add_proto_expert_info(E.sealed)
    local len = packet_len - HEADER
    if len < TAG then
        malformed(tree, "a sealed packet without its tag")
    elseif have(tvb, tree, HEADER, len) then
        if len > TAG then
            tree:add(F.body, tvb(HEADER, len - TAG))
        end
        tree:add(F.tag, tvb(HEADER + len - TAG, TAG))
    end
    return "sealed"
end

-- ---- Keyed packets ----

local function put_tag(tvb, tree)
    local at = packet_len - TAG
    if have(tvb, tree, at, TAG) then
        tree:add(F.tag, tvb(at, TAG))
    end
end

local BOTH = layout("src_node 8 dst_node 8 nonce 8 echo 8 link 8")
local OPEN = layout("peer_link 8 start 4 peer_start 4 mtu 2 lane 1 lanes 1 zero 4 " ..
    "public_key 32 signature 64 kx 32")

local function check_opening(tvb, tree, kind)
    local mtu, syn = tvb(88, 2):le_uint(), kind == 2
    if mtu < MTU_MIN or mtu > MTU_MAX then
        malformed(tree, "an mtu that cannot be")
    end
    if is_zero(tvb, 32, 8) or is_zero(tvb, 64, 8) then
        malformed(tree, "no node or no link of the sender")
    end
    if tvb(8, 8):bytes() ~= tvb(72, 8):bytes() then
        malformed(tree, "two different links of the receiver")
    end
    if syn ~= is_zero(tvb, 72, 8) or (not syn and is_zero(tvb, 40, 8)) then
        malformed(tree, "a node or link of the receiver where none may be, or none where one must")
    end
end

local function opening_body(tvb, tree, kind)
    if not have(tvb, tree, HEADER, OPENING - HEADER) then
        return nil
    end
    put(tvb, tree, put(tvb, tree, HEADER, BOTH), OPEN)
    check_opening(tvb, tree, kind)
    local padding = packet_len - OPENING - TAG
    if padding < 0 then
        malformed(tree, "no tag")
        return nil
    end
    if padding > 0 and have(tvb, tree, OPENING, padding) then
        tree:add(F.padding, tvb(OPENING, padding))
    end
    put_tag(tvb, tree)
    return string.format("mtu %d", tvb(88, 2):le_uint())
end

local function liveness_body(tvb, tree)
    if not have(tvb, tree, HEADER, KEYED + TAG - HEADER) then
        return nil
    end
    local at = put(tvb, tree, HEADER, BOTH)
    local said = tree:add_le(F.said, tvb(at, 4))
    for _, one in ipairs({ F.said_probe, F.said_busy, F.said_leaving }) do
        said:add_le(one, tvb(at, 4))
    end
    tree:add_le(F.loop_gap, tvb(at + 4, 4))
    if is_zero(tvb, 32, 8) or is_zero(tvb, 40, 8) then
        malformed(tree, "a node is 0")
    end
    if packet_len ~= KEYED + TAG then
        malformed(tree, "its length is not 96")
    end
    tree:add(F.tag, tvb(KEYED, TAG))
    local flags = tvb(at, 4):le_uint()
    return bit(flags, 1) and "PROBE" or bit(flags, 2) and "BUSY" or bit(flags, 4) and "LEAVING" or nil
end

-- ---- Header ----

local LINK = layout("link_lane 1 link_slot 2 link_secret 5")

local function put_header(tvb, tree)
    tree:add_le(F.version, tvb(0, 1))
    tree:add_le(F.kind, tvb(0, 1))
    local flags = tree:add_le(F.flags, tvb(1, 1))
    for _, one in ipairs({ F.ack_valid, F.sealed, F.key_phase, F.ce_echo, F.probe }) do
        flags:add_le(one, tvb(1, 1))
    end
    tree:add_le(F.attempt, tvb(1, 1))
    tree:add_le(F.window, tvb(2, 2))
    tree:add_le(F.seq, tvb(4, 4))
    local link = tree:add_le(F.dst_link, tvb(8, 8))
    put(tvb, link, 8, LINK)
    tree:add_le(F.sack, tvb(16, 8))
    tree:add_le(F.ack, tvb(24, 4))
    tree:add_le(F.trigger, tvb(28, 2))
    tree:add_le(F.trigger_attempt, tvb(28, 2))
    tree:add_le(F.trigger_valid, tvb(28, 2))
    local delay, item = tvb(30, 2):le_uint(), tree:add_le(F.host_delay, tvb(30, 2))
    item:append_text(delay == 0xffff and ": none" or string.format(": %.2f us", delay / 4))
end

local function link_packet(tvb, pinfo, tree)
    if not have(tvb, tree, 0, HEADER) then
        pinfo.cols.info = "short"
        return
    end
    local kind, flags = math.floor(tvb(0, 1):uint() / 16), tvb(1, 1):uint()
    local name, more = KINDS[kind], nil
    put_header(tvb, tree)
    if tvb(0, 1):uint() % 16 ~= 1 then
        malformed(tree, "another version than 1")
        pinfo.cols.info = "of another version"
        return
    elseif name == nil then
        malformed(tree, "no such kind")
        pinfo.cols.info = "of no known kind"
        return
    end
    if kind > 1 then
        more = (kind <= 4 and opening_body or liveness_body)(tvb, tree, kind)
    elseif bit(flags, 2) then
        more = sealed_body(tvb, tree)
    else
        more = (kind == 0 and data_body or ack_body)(tvb, tree)
    end
    local info = name
    if kind <= 1 then
        info = string.format("%s seq %08x", name, tvb(4, 4):le_uint())
        if bit(flags, 1) then
            info = string.format("%s ack %08x", info, tvb(24, 4):le_uint())
        end
    end
    tree:append_text(", " .. info)
    pinfo.cols.info = more ~= nil and info .. " " .. more or info
end

-- ---- Datagrams ----

function proa.dissector(tvb, pinfo, root)
    if tvb:len() == 0 then
        return 0
    end
    if tvb(0, 1):uint() == 0x64 then
        return krpc.dissect(proa, tvb, pinfo, root, malformed)
    end
    pinfo.cols.protocol = "proa"
    local tree = root:add(proa, tvb())
    local lead = string.find(tostring(pinfo.net_src), ":", 1, true) and 2 or 6
    packet_len = tvb:reported_len()
    if not have(tvb, tree, 0, lead) then
        pinfo.cols.info = "short"
        return tvb:len()
    end
    tree:add(F.lead, tvb(0, lead))
    if not is_zero(tvb, 0, lead) then
        malformed(tree, "neither a lead of zeros nor KRPC")
        pinfo.cols.info = "no link packet"
        return tvb:len()
    end
    if tvb:len() == lead then
        have(tvb, tree, lead, HEADER)
        pinfo.cols.info = "short"
        return tvb:len()
    end
    packet_len = packet_len - lead
    link_packet(tvb(lead):tvb(), pinfo, tree)
    return tvb:len()
end

-- ---- Ports ----

local udp = DissectorTable.get("udp.port")
local registered = "7400"

proa.prefs.ports = Pref.range("UDP ports", registered, "UDP ports of nodes", 65535)
udp:add(registered, proa)

function proa.prefs_changed()
    if proa.prefs.ports == registered then
        return
    end
    if registered ~= "" then
        udp:remove(registered, proa)
    end
    registered = proa.prefs.ports
    if registered ~= "" then
        udp:add(registered, proa)
    end
end
