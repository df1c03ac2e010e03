#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_perf_remote.py PROA_PERF - `proa-perf server` and `client` as on two machines: in two network
namespaces joined by veth, over udp and af_xdp.  Every message is checked; a client with another key, or
beside another client, gets nothing; when a client died the next one is served, and many are, one after
another.  No figure is judged.  Needs root and network namespaces."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from lab_net import Pair  # noqa: E402
from peer_lines import Peer, no_lab  # noqa: E402

COMMON = ["--no-huge", "--quiet"]


def check(what, right, why=""):
    if not right:
        sys.exit(f"FAILED: {what}\n{why}")
    print(f"ok: {what}", flush=True)


def key(folder, name):
    path = f"{folder}/{name}"
    with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(os.urandom(32).hex() + "\n")
    return path


class Server:
    """Ends with the test, however that goes."""

    def __init__(self, lab, spec, keyfile):
        self.peer = Peer(lab.inside(0, sys.argv[1], "server", "--port", spec, "--key", keyfile,
                                    "--receivers", "3000", *COMMON))
        self.peer.start()
        self.address = self.peer.wait_line("ready", 60).split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.peer.process is not None:
            self.peer.end(signal.SIGKILL)


def client_argv(lab, spec, address, keyfile, *arguments):
    return lab.inside(1, sys.argv[1], "client", "--port", spec, "--to", address, "--key", keyfile,
                      "--seconds", "1", "--warmup", "100", *COMMON, *arguments)


def client(*arguments):
    done = subprocess.run(client_argv(*arguments), capture_output=True, text=True, timeout=120,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def right(what, *arguments):
    status, out, err = client(*arguments)
    check(what, status == 0, out + err)
    run = json.loads(out)
    check(f"{what}: every message was checked", run["checked"]["all"] and
          run["checked"]["received"] == run["checked"]["sent"] > 0, out)
    return run


def udp(lab, folder):
    good = key(folder, "good")
    with Server(lab, f"udp:{lab.v4(0)}:7511", good) as server:
        serves(lab, server, good, key(folder, "bad"))
        check("the server ends when told to", server.peer.end(signal.SIGTERM) == 0)


def serves(lab, server, good, bad):
    to = (lab, f"udp:{lab.v4(1)}:0", server.address)
    run = right("tells over udp", *to, good, "--mode", "tell", "--receivers", "3000")
    check("the server's side is told too", run["receiving_lane"]["ran_in_place"] > 0)
    status, _, err = client(*to, bad)
    check("another cluster's key gets no answer", status == 1 and "no answer" in err, err)
    status, _, err = client(*to, good, "--receivers", "3001")
    check("more receivers than there is room for are refused",
          status == 1 and "--receivers N" in err, err)
    run = right("asks by schedule, with and without bulk beside", *to, good, "--mode", "ask",
                "--rate", "2000", "--rounds", "1", "--versus", "--bulk", "65536")
    check("both were", run["bulk"]["messages"] > 0 and run["offered_per_s"] == 2000)
    dies(to, good)
    many(to, good)


def killed(process):
    """`ip netns exec` becomes the client; its child with the node ends with it."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def start_first(to, good):
    return subprocess.Popen(client_argv(*to, good, "--warmup", "60000"),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def dies(to, good):
    """The first client's session would last for 60 s of warming up, and 30 s more."""
    first, said = start_first(to, good), (0, "", "")
    began = time.monotonic()
    try:
        # A client that comes before the first one's session has begun is served; then the first one
        # may be told of it.
        while "another client" not in said[2] or first.poll() is not None:
            if first.poll() is not None:
                first, began = start_first(to, good), time.monotonic()
            said = client(*to, good, "--messages", "1")
        check("a second client is told of the first", said[0] == 1, said)
    finally:
        killed(first)
    while (said := client(*to, good))[0] != 0:
        check("until the first one's end is known, refusals say why",
              "another client" in said[2] or "busy" in said[2], said)
    check("then the next one is served, long before the session's time is over",
          json.loads(said[1])["checked"]["all"] and time.monotonic() - began < 90, said)


def many(to, good):
    """Each session's receivers take three quarters of the server's slots: were they left, the second
    one's would find no room."""
    for number in range(4):
        right(f"session {number} of many", *to, good, "--receivers", "3000", "--messages", "10000")


def af_xdp(lab, folder):
    keyfile = key(folder, "xdp")
    with Server(lab, "af_xdp:lab0", keyfile) as server:
        to = (lab, "af_xdp:lab0", server.address, keyfile)
        run = right("tells over af_xdp, through the mailbox", *to, "--mailbox")
        check("from there they ran", run["receiving_lane"]["ran_from_mailbox"] >= run["messages"])
        right("asks over af_xdp", *to, "--mode", "ask", "--window", "1")
        check("this server ends too", server.peer.end(signal.SIGTERM) == 0)


def main():
    reason = no_lab()
    if reason:
        print(f"skipped: {reason}")
        return 77
    lab = Pair(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            udp(lab, folder)
            af_xdp(lab, folder)
    finally:
        lab.close()
    return 0


sys.exit(main())
