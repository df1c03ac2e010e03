#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_secure.py PROA SECURE_NODE on|off - nodes that give up what they no longer need.

As root they become another user; every thread is looked at in /proc.  With `on` a filter of system
calls is loaded too.  They go on working: over udp, over vhost while neighbours are killed and come
back, over AF_XDP while addresses change; and end without leaving anything.  Without root only the
filter and what is refused are tested.
"""
import errno
import glob
import json
import os
import pwd
import re
import shutil
import signal
import sys
import tempfile

from lab_net import run, status as outcome, verdict, within
from peer_lines import Gone, Peer, no_lab

PROA, SECURE, FILTER = sys.argv[1:4]
ADD = "0100000000000000"
NET_ADMIN = 1 << 12
with open("/proc/self/status", encoding="ascii") as status_file:
    CAPS = next(int(line.split()[1], 16) for line in status_file if line.startswith("CapEff"))
CHANGES_USER = 1 << 6 | 1 << 7 | 1 << 8  # CAP_SETGID, CAP_SETUID, CAP_SETPCAP
ROOT = os.geteuid() == 0 and CAPS & CHANGES_USER == CHANGES_USER


class Node:
    def __init__(self, folder, name, lines, program=None, prefix=(), state=None):
        self.name, self.folder = name, state or f"{folder}/{name}"
        self.socket = f"{self.folder}/proa.sock"
        self.config = f"{folder}/{name}.yaml"
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"state_dir: {self.folder}\ncluster_key_file: {folder}/key\n" + lines)
        self.peer = Peer([*prefix, *(program or [PROA]), "node", "--config", self.config])

    def start(self):
        self.peer.start()
        self.peer.wait_line("ready", 60)

    def ask(self, name, data=ADD, deadline=3000):
        done = run(PROA, "ask", name, "1", data, "--deadline", str(deadline), "--socket", self.socket,
                   check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    def pid(self):
        """`ip netns exec` becomes what it runs."""
        return self.peer.process.pid

    def threads(self):
        rows = {}
        for tid in os.listdir(f"/proc/{self.pid()}/task"):
            with open(f"/proc/{self.pid()}/task/{tid}/status", encoding="utf-8") as file:
                rows[tid] = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        return rows

    def end(self, sig=signal.SIGTERM):
        return self.peer.end(sig)


def user_lines():
    lines = f"user: {USER.pw_name}\n" if ROOT else ""
    return lines + f"seccomp: '{FILTER}'\n"


def look_at_threads(node, title, keepers=0, bounding=0):
    wrong, kept = [], 0
    rows = node.threads()
    for tid, row in rows.items():
        caps = {key: int(row[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
        is_keeper = caps["CapPrm"] == NET_ADMIN and caps["CapEff"] == NET_ADMIN
        kept += is_keeper
        left = {key for key, value in caps.items() if value and not (bounding and key == "CapBnd")}
        good = not left or (is_keeper and left == {"CapPrm", "CapEff"})
        if ROOT:
            good = good and row["Uid"].split() == [str(USER.pw_uid)] * 4 \
                and row["Gid"].split() == [str(USER.pw_gid)] * 4 \
                and set(row["Groups"].split()) == {str(USER.pw_gid)} and row["NoNewPrivs"] == "1"
        else:
            good = True
        if not good or row["Seccomp"] != ("2" if FILTER == "on" else "0"):
            wrong.append(f"{tid}: {row['Name']} {row['Uid']} {row['Gid']} {row['Groups']} {caps} "
                         f"{row['NoNewPrivs']} {row['Seccomp']}")
    if kept != keepers:
        wrong.append(f"{kept} threads with CAP_NET_ADMIN")
    if len(rows) < 4:
        wrong.append(f"{len(rows)} threads only")
    verdict(f"{title}: {keepers} of its threads with CAP_NET_ADMIN, none with more",
            "\n    ".join(wrong) or None)


def left_in(folder):
    return [f"{at}/{name}" for at, _, names in os.walk(folder) for name in names
            if name not in ("lock", "cluster.key")]


def udp(folder):
    node = Node(folder, "udp", "ports: [{spec: 'udp:127.0.0.1:0'}]\n" + user_lines() +
                "actors: [{behaviour: counter, name: my_actor}]\n")
    node.start()
    look_at_threads(node, "udp")
    verdict("udp: it answers", None if node.ask("my_actor") == ADD else "it does not")
    lookup = run(PROA, "lookup", "nobody", "--socket", node.socket, check=False)
    verdict("udp: it looks names up", None if "not found" in lookup.stderr else lookup.stderr)
    top = run(PROA, "top", "--socket", node.socket)
    verdict("udp: it shows itself", None if "LANE" in top.stdout else top.stdout)
    owners = {os.stat(f"{node.folder}/{name}").st_uid for name in os.listdir(node.folder)}
    owners.add(os.stat(node.folder).st_uid)
    verdict("udp: its files are the user's", None if owners == {USER.pw_uid} else owners)
    status = node.end()
    left = left_in(node.folder) + left_in(f"{folder}/run/dpdk")
    verdict("udp: it ends and leaves nothing", f"{status} {left}" if status or left else None)


def vhost(folder):
    meet = f"{folder}/meet"
    os.mkdir(meet)
    if ROOT:
        os.chown(meet, USER.pw_uid, USER.pw_gid)
    a, b = [Node(folder, f"vhost-{side}",
                 f"ports: [{{spec: 'vhost:{role}={meet}/ab', address: 10.74.0.{i}/24}}]\n" +
                 ("seeds: ['10.74.0.1:7400']\n" if i == 2 else "") + user_lines() +
                 f"actors: [{{behaviour: counter, name: count_{side}}}]\n")
            for i, (side, role) in enumerate((("a", "listen"), ("b", "connect")), 1)]
    a.start()
    b.start()
    look_at_threads(a, "vhost, listening")
    look_at_threads(b, "vhost, connecting")
    verdict("vhost: they talk", None if a.ask("count_b") and b.ask("count_a") else "they do not")
    b.end(signal.SIGKILL)
    b.start()
    verdict("vhost: the connecting one was killed and is back, they talk",
            None if within(20, lambda: a.ask("count_b")) else "they do not")
    a.end(signal.SIGKILL)
    a.start()
    again = within(20, lambda: b.ask("count_a") or a.ask("count_b"))
    verdict("vhost: the listening one was killed and is back, they talk",
            None if again else "they do not")
    status = [a.end(), b.end()]
    left = left_in(meet) + left_in(a.folder) + left_in(b.folder)
    verdict("vhost: they end and leave nothing", f"{status} {left}" if any(status) or left else None)


def telemetry(folder):
    """What the user is told by the socket of DPDK's telemetry below the folder."""
    paths = glob.glob(f"{folder}/dpdk/proa/dpdk_telemetry.v2*")
    if len(paths) != 1:
        return paths
    talk = "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); " \
        "s.connect(sys.argv[1]); print(s.recv(1024).decode())"
    done = run("setpriv", f"--reuid={USER.pw_uid}", f"--regid={USER.pw_gid}", "--clear-groups",
               sys.executable, "-c", talk, paths[0], check=False)
    return done.stdout.strip() if done.returncode == 0 else done.stderr


def few_capabilities(folder):
    """Root as in deploy/: of the capabilities those of `user` only, so that it may neither write where
    the user may, nor give anything away."""
    folder = f"{folder}/roots-own"
    os.mkdir(folder)
    os.chmod(os.path.dirname(folder), 0o711)
    run(PROA, "keygen", f"{folder}/key")
    prefix = ["setpriv", "--bounding-set=-all,+setuid,+setgid,+setpcap,+ipc_lock"]
    lines = "ports: [{spec: 'udp:127.0.0.1:0'}]\n" + user_lines()
    for title, owner, mode in (("pod's", (0, 0), 0o777), ("unit's", (USER.pw_uid, USER.pw_gid), 0o755)):
        place = f"{folder}/few-{title[:3]}"
        os.mkdir(place)
        os.chown(place, *owner)
        os.chmod(place, mode)
        node = Node(folder, "few", lines, prefix=["env", f"RUNTIME_DIRECTORY={place}", *prefix],
                    state=f"{place}/state/here")
        for time_ in ("starts", "starts again"):
            node.start()
            owners = {os.stat(path).st_uid for path in (f"{place}/state", node.folder, node.socket)}
            said = telemetry(place)
            verdict(f"few capabilities, a {title} folder: it {time_}, the user can reach telemetry",
                    None if owners == {USER.pw_uid} and "version" in said else f"{owners} {said}")
            mode = os.stat(f"{place}/dpdk/proa").st_mode & 0o777
            verdict("... and others cannot", oct(mode) if mode & 7 else None)
            verdict("... it ends", node.end() or None)
        left = left_in(place)
        verdict("... and leaves nothing", left or None)
    os.mkdir(f"{folder}/only-roots")
    for _ in range(2):  # what cannot be given away does not stay
        refused(folder, "a state directory that nobody can make for the user", user_lines(),
                "only-roots/state: Operation not permitted; choose a state_dir this user can write",
                prefix=prefix, state=f"{folder}/only-roots/state")
    verdict("... and none is left", os.listdir(f"{folder}/only-roots") or None)


def default_place(folder):
    """Without state_dir the socket, too, lies in a folder that is made for the user."""
    home = f"{folder}/home"
    os.mkdir(home)
    node = Node(folder, "default", "ports: [{spec: 'udp:127.0.0.1:0'}]\n" + user_lines(),
                prefix=["env", "-u", "XDG_STATE_HOME", f"HOME={home}"])
    node.folder = f"{home}/.local/state/proa"
    with open(node.config, encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("state_dir:")]
    with open(node.config, "w", encoding="utf-8") as file:
        file.writelines(lines)
    node.socket = f"{node.folder}/proa.sock"
    asked = run("env", "-u", "XDG_STATE_HOME", f"HOME={home}", PROA, "ls", check=False)
    verdict("no state_dir: who asks makes no folder",
            None if asked.returncode == 3 and not os.listdir(home) else f"{asked} {os.listdir(home)}")
    node.start()
    owners = {os.stat(path).st_uid for path in (f"{home}/.local", node.folder, node.socket)}
    verdict("no state_dir: root has made its folders for the user",
            None if owners == {USER.pw_uid} else owners)
    verdict("no state_dir: it ends", node.end() or None)


def unseen_threads(folder):
    """What cannot be looked at is not taken for good."""
    for what, make in (("no thread", ":"), ("a thread's status", "mkdir -p /proc/$$/task/$$/status")):
        node = Node(folder, "unseen", "ports: [{spec: 'udp:127.0.0.1:0'}]\nsocket: none\n" + user_lines())
        done = run("unshare", "-m", "sh", "-c", f'mount -t tmpfs none /proc/$$/task && {make} && exec "$@"',
                   "sh", *node.peer.argv, check=False)
        verdict(f"refused: /proc shows {what}", None if done.returncode == 1 and
                "cannot be read" in done.stderr else f"{done.returncode} {done.stderr or done.stdout}")


class Lab:
    """Two namespaces with an interface each."""

    def __init__(self):
        self.names = [f"proa-secure-{os.getpid()}-{side}" for side in "ab"]
        for name in self.names:
            run("ip", "netns", "add", name)
        run("ip", "link", "add", "lab0", "netns", self.names[0], "type", "veth", "peer", "name", "lab0",
            "netns", self.names[1])
        for i in range(2):
            for words in ("link set lo up", "link set lab0 up", f"address add 10.78.0.{i + 1}/24 dev lab0"):
                self.ip(i, *words.split())

    def ip(self, side, *argv):
        return run("ip", "-n", self.names[side], *argv).stdout

    def close(self):
        for name in self.names:
            run("ip", "netns", "del", name, check=False)


def bpf_left(programs):
    """Those of the programs, and links to them, that the kernel still has."""
    tool = shutil.which("bpftool") or "/usr/sbin/bpftool"
    if not os.path.exists(tool):
        return []
    left = [f"program {row['id']}" for row in json.loads(run(tool, "-j", "prog", "show").stdout)
            if row["id"] in programs]
    return left + [f"link {row['id']}" for row in json.loads(run(tool, "-j", "link", "show").stdout)
                   if row.get("prog_id") in programs]


def af_xdp(folder):
    why = no_lab()
    if why:
        print("ok - af_xdp # SKIP", why)
        return
    lab = Lab()
    nodes = []
    try:
        for i, side in enumerate("ab"):
            nodes.append(Node(folder, f"xdp-{side}", "ports: [{spec: 'af_xdp:lab0'}]\n" +
                              ("seeds: ['10.78.0.1:7400']\n" if i else "") + user_lines() +
                              f"actors: [{{behaviour: counter, name: xdp_{side}}}]\n",
                              prefix=["ip", "netns", "exec", lab.names[i]]))
            nodes[i].start()
        a, b = nodes
        look_at_threads(a, "af_xdp", keepers=1)
        verdict("af_xdp: they talk", None if a.ask("xdp_b") and b.ask("xdp_a") else "they do not")
        lab.ip(1, "link", "set", "lab0", "address", "02:00:00:00:78:99")
        for i in range(2):  # from here on only who may ask the kernel for a neighbour reaches one
            lab.ip(i, "neighbour", "flush", "dev", "lab0")
        talks = within(20, lambda: a.ask("xdp_b", deadline=500)) and within(20, lambda: b.ask("xdp_a"))
        known = lab.ip(0, "neighbour", "show", "dev", "lab0")
        verdict("af_xdp: another MAC address and empty neighbour tables, they talk",
                None if talks and "02:00:00:00:78:99" in known else known)
        programs = {int(number) for i in range(2) for number in
                    re.findall(r"prog/xdp id (\d+)", lab.ip(i, "-details", "link", "show", "lab0"))}
        there = bpf_left(programs)
        status = [a.end(), b.end()]
        links = [line for i in range(2) for line in
                 lab.ip(i, "-details", "link", "show", "lab0").splitlines() if "prog/xdp" in line]
        gone = within(10, lambda: not bpf_left(programs))  # the kernel frees them a moment later
        verdict("af_xdp: they end and leave no program and no link",
                f"{status} {links} {bpf_left(programs)}"
                if any(status) or links or not gone or len(programs) != 2 else None)
        verdict("af_xdp: which were there", None if len(there) in (0, 4) else there)
    finally:
        for node in nodes:
            if node.peer.process and node.peer.process.poll() is None:
                node.end(signal.SIGKILL)
        lab.close()


def ethdev(folder):
    """A DPDK device on one side, the kernel's sockets on the other."""
    if no_lab():
        return  # af_xdp has said why
    lab = Lab()
    nodes = []
    try:
        lab.ip(0, "address", "flush", "dev", "lab0")
        run("ip", "netns", "exec", lab.names[1], "ip", "tuntap", "add", "tap0", "mode", "tap",
            "multi_queue")
        lab.ip(1, "link", "set", "tap0", "up")
        lab.ip(1, "address", "add", "10.81.0.2/24", "dev", "tap0")
        for name, side, spec, address, seed in (
                ("packet", 0, "ethdev:net_af_packet0,iface=lab0", "10.78.0.1/24", ""),
                ("tap", 1, "ethdev:net_tap0,iface=tap0", "10.81.0.1/24", ""),
                ("a", 1, "udp:10.78.0.2:7400", "", "10.78.0.1:7400"),
                ("b", 1, "udp:10.81.0.2:7400", "", "10.81.0.1:7400")):
            where = f"ports: [{{spec: '{spec}'" + (f", address: {address}" if address else "") + "}]\n"
            node = Node(folder, f"ethdev-{name}", where + (f"seeds: ['{seed}']\n" if seed else "") +
                        user_lines() + f"actors: [{{behaviour: counter, name: eth_{name}}}]\n",
                        prefix=["ip", "netns", "exec", lab.names[side]])
            nodes.append(node)
            node.start()
        packet, tap, a, b = nodes
        look_at_threads(packet, "ethdev on net_af_packet")
        look_at_threads(tap, "ethdev on net_tap")
        talk = [within(20, lambda x=x, name=name: x.ask(name)) for x, name in
                ((packet, "eth_a"), (a, "eth_packet"), (tap, "eth_b"), (b, "eth_tap"))]
        verdict("ethdev: they talk", None if all(talk) else talk)
        lab.ip(0, "link", "set", "lab0", "down")
        gone = within(10, lambda: not a.ask("eth_packet", deadline=300))
        lab.ip(0, "link", "set", "lab0", "up")
        again = within(20, lambda: a.ask("eth_packet", deadline=500))
        verdict("ethdev: cut and healed, they talk", None if gone and again else f"{gone} {again}")
        status = [node.end() for node in nodes]
        verdict("ethdev: they end", status if any(status) else None)
    finally:
        for node in nodes:
            if node.peer.process and node.peer.process.poll() is None:
                node.end(signal.SIGKILL)
        lab.close()


# secure_node.c has the same numbers.
REFUSED = {1: "socket(AF_PACKET)", 2: "open for writing", 3: "fork", 4: "setuid", 5: "bpf(BPF_MAP_CREATE)",
           6: "mmap of memory to write and execute", 7: "unshare", 8: "keyctl", 13: "io_uring_setup",
           14: "userfaultfd", 15: "perf_event_open", 16: "kill"}
GRANTED = {9: "open for reading", 10: "a thread", 11: "socket(AF_INET)"}
EXECVE, PTRACE = 12, 17


def number(value):
    return value.to_bytes(8, "little").hex()


def forbidden(folder):
    lines = "ports: [{spec: 'udp:127.0.0.1:0'}]\n" + user_lines() + \
        "actors: [{behaviour: trial, name: trial}]\n"
    node = Node(folder, "trial", lines, [SECURE])
    node.start()
    for trial, name in {**REFUSED, **GRANTED}.items():
        wanted = errno.EPERM if trial in REFUSED else 0
        answer = node.ask("trial", number(trial))
        verdict(f"filter: {name}: {errno.errorcode.get(wanted, 'works')}",
                None if answer == number(wanted) else answer)
    look_at_threads(node, "filter, with threads of offloaded jobs")
    node.ask("trial", number(EXECVE), 500)
    status = node.peer.process.wait(timeout=10)
    verdict("filter: execve: the process is killed", None if status == -signal.SIGSYS else status)
    node = Node(folder, "more", lines + "seccomp_allow: [openat, ptrace]\n", [SECURE])
    node.start()
    verdict("seccomp_allow: openat for writing works",
            None if node.ask("trial", number(2)) == number(0) else "it does not")
    verdict("seccomp_allow: and nothing else does",
            None if node.ask("trial", number(1)) == number(errno.EPERM) else "it does")
    answer = node.ask("trial", number(PTRACE))
    verdict("seccomp_allow: ptrace is the kernel's affair (ESRCH)",
            None if answer == number(errno.ESRCH) else answer)
    verdict("seccomp_allow: it ends", node.end() or None)


def again(folder):
    """One process, three nodes: what the first gave up is gone for the later ones too."""
    done = run(SECURE, "again", f"{folder}/again", USER.pw_name if ROOT else "")
    wanted = ["0: started", "1: started", "2: seccomp_allow: 'fork' cannot be added: this process has its "
              "filter already; start a new process"]
    verdict("again: a second node under the first one's filter, none with a wider one",
            None if done.stdout.splitlines() == wanted else done.stdout)


def refused(folder, title, lines, wanted, **how):
    node = Node(folder, "refused", "ports: [{spec: 'udp:127.0.0.1:0'}]\n" + lines, **how)
    done = run(*node.peer.argv, check=False)
    good = done.returncode == 1 and wanted in done.stderr and len(done.stderr.splitlines()) == 1
    verdict(f"refused: {title}", None if good else f"{done.returncode} {done.stderr or done.stdout}")


def bad_input(folder):
    refused(folder, "unknown user", "user: no_such_user\n", "there is no user 'no_such_user'")
    refused(folder, "unknown group", f"user: {USER.pw_name}:no_such_group\n",
            "there is no group 'no_such_group'")
    refused(folder, "root as user", "user: root\n", "is root, who keeps everything")
    refused(folder, "half a user", "user: ':'\n", "neither NAME nor NAME:GROUP")
    refused(folder, "rubbish in seccomp_allow", "seccomp: on\nseccomp_allow: [read, f00]\n",
            ":5: seccomp_allow[1]: there is no system call 'f00'")
    if not ROOT:
        return
    as_user = ["setpriv", f"--reuid={USER.pw_uid}", f"--regid={USER.pw_gid}",
               f"--groups={USER.pw_gid}"]
    refused(folder, "another user without root", "user: daemon\nsocket: none\n", "cannot become another user",
            prefix=as_user)
    refused(folder, "a user with capabilities", f"user: {USER.pw_name}\n", "has capabilities",
            prefix=["setpriv", "--inh-caps=+setuid", "--ambient-caps=+setuid", *as_user[1:]])
    refused(folder, "root without CAP_SETUID", f"user: {USER.pw_name}\n", "give it CAP_SETUID and CAP_SETGID",
            prefix=["setpriv", "--bounding-set=-setuid"])
    refused(folder, "a thread before the node", f"user: {USER.pw_name}\n", "start the node before other threads",
            program=[SECURE, "thread"])
    os.mkdir(f"{folder}/roots", 0o700)
    refused(folder, "a state directory the user may not write", f"user: {USER.pw_name}\n",
            "roots/lock: Permission denied; choose a state_dir this user can write",
            state=f"{folder}/roots")
    refused(folder, "a folder for the socket that the user may not read",
            f"socket: {folder}/roots/s\nuser: {USER.pw_name}\n", "may not read its folder")
    done = Node(folder, "itself", "ports: [{spec: 'udp:127.0.0.1:0'}]\nsocket: none\n" + user_lines(),
                prefix=as_user)
    os.mkdir(done.folder)
    os.chown(done.folder, USER.pw_uid, USER.pw_gid)
    done.start()
    look_at_threads(done, "already that user", bounding=1)  # to empty it needs CAP_SETPCAP
    verdict("already that user: it ends", done.end() or None)


def main():
    global USER
    USER = pwd.getpwnam("nobody") if ROOT else pwd.getpwuid(os.geteuid())
    folder = tempfile.mkdtemp(prefix="proa-secure-")
    os.makedirs(f"{folder}/run")
    run(PROA, "keygen", f"{folder}/key")
    if ROOT:
        for path in (folder, f"{folder}/run", f"{folder}/key"):
            os.chown(path, USER.pw_uid, USER.pw_gid)
    os.environ["RUNTIME_DIRECTORY"] = f"{folder}/run"
    try:
        udp(folder)
        vhost(folder)
        if ROOT:
            few_capabilities(folder)
            default_place(folder)
            if CAPS >> 21 & 1:  # CAP_SYS_ADMIN
                unseen_threads(folder)
            af_xdp(folder)
            ethdev(folder)
        else:
            print("ok - af_xdp, and becoming another user # SKIP needs root with CAP_SETUID, CAP_SETGID "
                  "and CAP_SETPCAP")
        if FILTER == "on":
            forbidden(folder)
            again(folder)
        else:
            print("ok - filter # SKIP sanitizers make system calls of their own")
        bad_input(folder)
    except Gone as gone:
        verdict("the conversation goes on", gone)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(outcome())


main()
