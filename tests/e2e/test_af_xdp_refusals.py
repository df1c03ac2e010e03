#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_af_xdp_refusals.py PROA OBJECT - what keeps a node off an interface.

Each time: one line with cause and remedy, exit status 1, nothing left behind, and what is another's
untouched.  OBJECT is an XDP program of somebody else.  Needs root.
"""
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from lab_net import Pair, left, programs, run, status, verdict
from peer_lines import Gone, Peer, no_lab

PROA, OBJECT = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
HOLD_QUEUE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hold_queue.py")
NOBODY = 65534


class Refusals:
    def __init__(self, lab, folder):
        self.lab, self.folder = lab, folder

    def argv(self, spec, more="", port="", folder=None, wrap=()):
        """A node with one port, and its files in a folder of its own."""
        folder = folder or self.folder
        path = f"{folder}/node.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"ports:\n  - spec: '{spec}'\n{port}state_dir: {folder}/state\nsocket: none\n"
                       f"pages: none\n{more}")
        return self.lab.inside(0, *wrap, PROA, "node", "--config", path)

    def refused(self, title, wanted, spec="af_xdp:lab0", theirs=(), **args):
        """It ends with status 1 and one line that has all that is wanted in it."""
        done = subprocess.run(self.argv(spec, **args), capture_output=True, text=True, timeout=60,
                              check=False)
        lines = done.stderr.splitlines()
        good = done.returncode == 1 and not done.stdout and len(lines) == 1 and \
            all(words in lines[0] for words in wanted)
        if not verdict(title, None if good else f"{done.returncode}: {done.stdout}{done.stderr}"):
            return
        remains = left(self.lab.spaces[0])
        expected = " ".join(theirs)
        if remains != expected:
            verdict(f"{title}: leaves all as it was", f"'{remains}' and not '{expected}'")

    # ---- The interface ----

    def interfaces(self):
        self.refused("no such interface", ["af_xdp:nic9: there is no such interface", "ip link"],
                     "af_xdp:nic9")
        self.refused("no Ethernet interface", ["af_xdp:lo: is no Ethernet interface"], "af_xdp:lo")
        self.refused("a name too long", ["write af_xdp:INTERFACE"], "af_xdp:a23456789012345678")
        self.refused("an unknown word", ["write af_xdp:INTERFACE"], "af_xdp:lab0,native")
        self.lab.ip(0, "link", "set", "lab0", "down")
        self.refused("interface down", ["is down", "ip link set lab0 up"])
        self.lab.ip(0, "link", "set", "lab0", "up")
        self.lab.ip(0, "address", "add", f"{self.lab.v6(0)}/64", "dev", "lab0", "nodad")
        self.refused("another's address", ["10.78.0.2:7400 is not its address", "ip address"],
                     port="    address: 10.78.0.2/24\n")
        self.refused("more lanes than queues",
                     ["has 2 queues, the node 3 lanes", "ethtool -L lab0 combined 3", "lanes: 2"],
                     more="lanes: 3\nmemory_mb: 512\n")
        self.lab.ip(0, "link", "add", "bare0", "type", "bridge")
        self.lab.ip(0, "link", "set", "bare0", "up")
        self.lab.ip(0, "link", "set", "bare0", "addrgenmode", "none")
        self.refused("no address", ["af_xdp:bare0: has no address", "ip address add"], "af_xdp:bare0")
        self.lab.ip(0, "address", "add", "10.77.0.1/24", "dev", "bare0")
        self.refused("a driver without XDP", ["takes no XDP program", "af_xdp:bare0,generic"],
                     "af_xdp:bare0")
        self.lab.ip(0, "link", "del", "bare0")

    def mtus(self):
        self.refused("an mtu over the interface's", ["mtu 1501 is more than the interface's 1500"],
                     port="    mtu: 1501\n")
        for side in range(2):
            self.lab.ip(side, "link", "set", "lab0", "mtu", "9000")
        self.refused("an MTU that the driver does not take", ["MTU", "lower", "af_xdp:lab0,generic"])
        self.refused("an mtu over what a buffer holds", ["mtu", "4096", "set another `mtu`"],
                     "af_xdp:lab0,generic", port="    mtu: 4000\n")
        for side in range(2):
            self.lab.ip(side, "link", "set", "lab0", "mtu", "1500")

    # ---- Others on it ----

    def other_programs(self):
        for mode, spec in itertools.product(("xdpdrv", "xdpgeneric"),
                                            ("af_xdp:lab0", "af_xdp:lab0,generic")):
            self.lab.ip(0, "link", "set", "dev", "lab0", mode, "obj", OBJECT, "sec", "xdp")
            (theirs,) = programs(self.lab.spaces[0])
            self.refused(f"another's program by {mode}, {spec}",
                         [f"(id {theirs['id']})", '"lab_loss"', f"ip link set dev lab0 {mode} off"], spec,
                         theirs=[f"program {theirs['id']} on lab0"])
            # The remedy that it names.
            self.lab.ip(0, "link", "set", "dev", "lab0", mode, "off")
            verdict("... and its remedy works", left(self.lab.spaces[0]))

    def busy_queue(self):
        holder = Peer(self.lab.inside(0, sys.executable, HOLD_QUEUE, "lab0", "1"))
        holder.start()
        try:
            holder.wait_line("holds", 30)
            self.refused("a queue of another AF_XDP socket",
                         ["queue 1 belongs to another AF_XDP socket", "end its program"])
        finally:
            holder.end(signal.SIGKILL)

    def busy_port(self):
        holder = Peer(self.lab.inside(0, sys.executable, "-c", "import signal, socket\n"
                      "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                      f"s.bind(('10.78.0.1', 7400))\nprint('holds', flush=True)\nsignal.pause()"))
        holder.start()
        try:
            holder.wait_line("holds", 30)
            self.refused("a UDP port of another program", ["UDP port 7400", "ss -ulpn"])
        finally:
            holder.end(signal.SIGKILL)

    def second_node(self):
        other = f"{self.folder}/first"
        os.mkdir(other)
        first = Peer(self.argv("af_xdp:lab0", folder=other))
        first.start()
        try:
            first.wait_line("ready", 60)
            theirs = left(self.lab.spaces[0])
            for spec in ("af_xdp:lab0", "af_xdp:lab0,generic"):
                self.refused(f"a second node, {spec}",
                             ["another proa node uses this interface", "give each node one"], spec,
                             theirs=[theirs])
            code = first.end(signal.SIGTERM)
            verdict("and the first ends as if nothing had been",
                    f"exit status {code}" if code else left(self.lab.spaces[0]))
        finally:
            if first.process:
                first.end(signal.SIGKILL)

    # ---- What it may ----

    def privileges(self):
        may_not = ["may not load BPF programs", "CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_IPC_LOCK"]

        def without(*caps):
            return ["setpriv", "--bounding-set", ",".join(f"-{cap}" for cap in caps)]

        self.refused("without CAP_BPF", may_not, wrap=without("bpf", "sys_admin"))
        self.refused("without CAP_NET_ADMIN", may_not, wrap=without("net_admin", "sys_admin"))
        self.refused("without CAP_NET_RAW", ["CAP_NET_RAW"], wrap=without("net_raw"))
        self.refused("with little memory to lock", ["may lock", "CAP_IPC_LOCK", "ulimit -l"],
                     wrap=["prlimit", "--memlock=65536:65536", *without("ipc_lock", "sys_resource")])
        user = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
        if run(*user, PROA, "version", check=False).returncode != 0:
            print("ok - an ordinary user # SKIP may not run", PROA)
            return
        home = f"{self.folder}/nobody"
        os.mkdir(home)
        os.chown(home, NOBODY, NOBODY)
        self.refused("an ordinary user", may_not, folder=home,
                     wrap=["env", f"RUNTIME_DIRECTORY={home}", *user])


def main():
    why = no_lab()
    if why:
        print("ok - af_xdp refusals # SKIP", why)
        return
    folder = tempfile.mkdtemp(prefix="proa-e2e-")
    os.chmod(folder, 0o755)
    os.environ["RUNTIME_DIRECTORY"] = folder
    lab = None
    try:
        lab = Pair()
        refusals = Refusals(lab, folder)
        refusals.interfaces()
        refusals.mtus()
        refusals.other_programs()
        refusals.busy_queue()
        refusals.busy_port()
        refusals.second_node()
        refusals.privileges()
    except Gone as gone:
        verdict("the lab", gone)
    finally:
        if lab:
            lab.close()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status())


main()
