-- SPDX-License-Identifier: Apache-2.0
-- proa_fields.lua - the names of everything on the wire (docs/wire.md); a part of proa.lua, which
-- loads it from its own folder.  A field's filter is "proa." and its name here.

-- ---- Names ----

local KINDS = {
    [0] = "DATA", "ACK", "SYN", "SYNACK", "OPEN", "PING", "PONG", "RST", "CLOSE",
}
local CLASSES = { [0] = "normal", "urgent", "system" }
local SYSTEM = {
    [0x80000001] = "REFUSE", [0x80000002] = "WRITABLE", [0x80000003] = "STOP",
    [0x80000004] = "ABORT", [0x80000005] = "DOWN", [0x80000006] = "FORWARDED",
    [0x80000007] = "MONITOR", [0x80000008] = "DEMONITOR",
    [0x80000009] = "STEER",
}
local REASONS = {
    "mailbox full", "no such actor", "unknown type", "bad length", "expired", "stopped",
    "dropped", "busy", "too many hops", "no reply", "maybe executed", "in doubt", "not sent",
}
local ENDS = { "normal", "killed", "failed", "node lost", "restarted", "no such actor" }
local RESULTS = {
    [0] = "made", "not allowed", "no such lane", "no room", "its start failed or the node leaves",
}

-- ---- Fields ----

local fields = {}

local function field(name, type, label, ...)
    local made = ProtoField[type]("proa." .. name, label, ...)
    fields[#fields + 1] = made
    return made
end

local F = {
    lead = field("lead", "bytes", "Lead"),
    version = field("version", "uint8", "Version", base.DEC, nil, 0x0f),
    kind = field("kind", "uint8", "Kind", base.DEC, KINDS, 0xf0),
    flags = field("flags", "uint8", "Flags", base.HEX, nil, 0x1f),
    ack_valid = field("flags.ack_valid", "bool", "ACK_VALID", 8, nil, 0x01),
    sealed = field("flags.sealed", "bool", "SEALED", 8, nil, 0x02),
    key_phase = field("flags.key_phase", "bool", "KEY_PHASE", 8, nil, 0x04),
    ce_echo = field("flags.ce_echo", "bool", "CE_ECHO", 8, nil, 0x08),
    probe = field("flags.probe", "bool", "PROBE", 8, nil, 0x10),
    attempt = field("attempt", "uint8", "Attempt", base.DEC, nil, 0xe0),
    window = field("window", "uint16", "Window"),
    seq = field("seq", "uint32", "Sequence number", base.HEX_DEC),
    dst_link = field("dst_link", "uint64", "Link of the receiver", base.HEX),
    link_lane = field("dst_link.lane", "uint8", "Lane"),
    link_slot = field("dst_link.slot", "uint16", "Slot"),
    link_secret = field("dst_link.secret", "uint64", "Secret", base.HEX),
    sack = field("sack", "uint64", "Arrived past ack", base.HEX),
    ack = field("ack", "uint32", "Acknowledged up to", base.HEX_DEC),
    trigger = field("trigger", "int16", "Trigger", base.DEC, nil, 0x0fff),
    trigger_attempt = field("trigger.attempt", "uint16", "Attempt of trigger", base.DEC, nil, 0x7000),
    trigger_valid = field("trigger.valid", "bool", "Trigger valid", 16, nil, 0x8000),
    host_delay = field("host_delay", "uint16", "Host delay (250 ns)"),
    bitmap = field("bitmap", "bytes", "Bitmap"),
    tag = field("tag", "bytes", "Tag"),
    body = field("sealed", "bytes", "Sealed messages"),

    src_node = field("src_node", "uint64", "Node of the sender", base.HEX),
    dst_node = field("dst_node", "uint64", "Node of the receiver", base.HEX),
    nonce = field("nonce", "uint64", "Nonce", base.HEX),
    echo = field("echo", "uint64", "Echoed nonce", base.HEX),
    link = field("link", "uint64", "Link of the sender", base.HEX),
    peer_link = field("peer_link", "uint64", "Link of the receiver, again", base.HEX),
    start = field("start", "uint32", "First sequence number", base.HEX_DEC),
    peer_start = field("peer_start", "uint32", "First sequence number of the receiver", base.HEX_DEC),
    mtu = field("mtu", "uint16", "Largest link packet"),
    lane = field("lane", "uint8", "Wished lane (255: any)"),
    lanes = field("lanes", "uint8", "Lanes of the sender"),
    zero = field("zero", "uint32", "Zero", base.HEX),
    public_key = field("public_key", "bytes", "Public key"),
    signature = field("signature", "bytes", "Signature"),
    kx = field("kx", "bytes", "X25519 key"),
    padding = field("padding", "bytes", "Padding"),
    said = field("said", "uint32", "Flags of the keyed packet", base.HEX),
    said_probe = field("said.probe", "bool", "PROBE: tell the window at once", 32, nil, 1),
    said_busy = field("said.busy", "bool", "BUSY: alive, not consuming", 32, nil, 2),
    said_leaving = field("said.leaving", "bool", "LEAVING: the whole node", 32, nil, 4),
    loop_gap = field("loop_gap", "uint32", "Longest loop gap (us)"),

    message = field("message", "none", "Message"),
    len = field("msg.len", "uint16", "Length"),
    msg_flags = field("msg.flags", "uint8", "Flags", base.HEX),
    ask = field("msg.flags.ask", "bool", "ASK", 8, nil, 0x01),
    reply = field("msg.flags.reply", "bool", "REPLY", 8, nil, 0x02),
    system = field("msg.flags.system", "bool", "SYSTEM", 8, nil, 0x04),
    frag = field("msg.flags.frag", "bool", "FRAG", 8, nil, 0x08),
    foreign = field("msg.flags.foreign", "bool", "FOREIGN", 8, nil, 0x10),
    same = field("msg.flags.same", "bool", "SAME", 8, nil, 0x20),
    class = field("msg.class", "uint8", "Class", base.DEC, CLASSES, 0x03),
    hops = field("msg.hops", "uint8", "Hops", base.DEC, nil, 0xfc),
    type = field("msg.type", "uint32", "Type", base.HEX_DEC),
    dst_slot = field("msg.dst_slot", "uint32", "Slot of the receiver", base.HEX),
    dst_generation = field("msg.dst_generation", "uint32", "Generation of the receiver", base.HEX),
    src_slot = field("msg.src_slot", "uint32", "Slot of the sender", base.HEX),
    src_generation = field("msg.src_generation", "uint32", "Generation of the sender", base.HEX),
    stream = field("msg.stream", "uint32", "Stream"),
    offset = field("msg.offset", "uint32", "Offset"),
    total = field("msg.total", "uint32", "Total"),
    frag_zero = field("msg.frag_zero", "uint32", "Zero", base.HEX),
    foreign_node = field("msg.foreign_node", "uint64", "Node of the sender", base.HEX),
    correlation = field("msg.correlation", "uint32", "Correlation"),
    us_left = field("msg.us_left", "uint32", "Time left (us)"),
    payload = field("msg.payload", "bytes", "Payload"),
    msg_padding = field("msg.padding", "bytes", "Padding"),

    sys_node = field("sys.node", "uint64", "Node", base.HEX),
    sys_slot = field("sys.slot", "uint32", "Slot", base.HEX),
    sys_generation = field("sys.generation", "uint32", "Generation", base.HEX),
    sys_other_slot = field("sys.other_slot", "uint32", "Slot of the other", base.HEX),
    sys_other_generation = field("sys.other_generation", "uint32", "Generation of the other", base.HEX),
    sys_type = field("sys.type", "uint32", "Type of the first", base.HEX_DEC),
    sys_correlation = field("sys.correlation", "uint32", "Correlation"),
    sys_count = field("sys.count", "uint32", "Count"),
    sys_reason = field("sys.reason", "uint8", "Reason", base.DEC, REASONS),
    sys_zero = field("sys.zero", "bytes", "Zero"),
    sys_port = field("sys.port", "uint16", "Send from UDP port"),
    sys_stream = field("sys.stream", "uint32", "Stream"),
    sys_hops = field("sys.hops", "uint32", "Hops"),
    sys_index = field("sys.index", "uint32", "Index of the monitor"),
    sys_serial = field("sys.serial", "uint32", "Serial of the monitor"),
    sys_end = field("sys.end", "uint8", "Reason of the end", base.DEC, ENDS),
    sys_watch_flags = field("sys.watch_flags", "uint8", "Flags (1 link, 2 watcher ended, 4 unlinked)", base.HEX),
    sys_code = field("sys.code", "int32", "Code"),
    sys_next_slot = field("sys.next_slot", "uint32", "Slot of the next life", base.HEX),
    sys_next_generation = field("sys.next_generation", "uint32", "Generation of the next life", base.HEX),

    spawn_name_len = field("spawn.name_len", "uint8", "Length of the type's name"),
    spawn_arg_len = field("spawn.arg_len", "uint16", "Length of the argument"),
    spawn_name = field("spawn.name", "string", "Type's name"),
    spawn_arg = field("spawn.arg", "bytes", "Argument"),
    spawn_result = field("spawn.result", "uint32", "Result", base.DEC, RESULTS),
    spawn_slot = field("spawn.slot", "uint32", "Slot", base.HEX),
    spawn_generation = field("spawn.generation", "uint32", "Generation", base.HEX),
    multicast_len = field("multicast.group_len", "uint8", "Length of the group's name"),
    multicast_group = field("multicast.group", "string", "Group"),
    multicast_data = field("multicast.data", "bytes", "For its members"),
}

-- "sys_node 8 sys_slot 4": fields one behind the other and their bytes, as rows; and the sum.
local function layout(text)
    local rows = { bytes = 0 }
    for name, bytes in string.gmatch(text, "([%w_]+) (%d+)") do
        rows[#rows + 1] = { F[name], tonumber(bytes) }
        rows.bytes = rows.bytes + tonumber(bytes)
    end
    return rows
end

return { fields = F, list = fields, layout = layout, kinds = KINDS, system = SYSTEM }
