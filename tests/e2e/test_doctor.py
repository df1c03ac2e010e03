#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_doctor.py PROA - `proa doctor` on this machine: its exit statuses and its three forms.

What it finds here is the machine's own business; that the forms agree with each other is not.
Where there can be network namespaces, its word about an interface is compared with the node's.
"""
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from peer_lines import no_lab

SEVERITIES = ("ok", "note", "warning", "error")
KEYS = ["check", "severity", "subject", "cause", "cost", "remedy", "setting", "command"]
CALLS_LEAST = 20  # that doctor makes at the least, of those that are traced
bad = 0


def verdict(name, why=None):
    global bad
    if why:
        bad = 1
        print(f"    {why}")
    print("not ok -" if why else "ok -", name, flush=True)


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def doctor(proa, *options, before=()):
    done = run(*before, proa, "doctor", *options)
    if done.stderr:
        raise ValueError(f"on stderr: {done.stderr}")
    return done


def document(proa, *options, before=()):
    """The JSON document, after a look at its shape."""
    done = doctor(proa, *options, "--json", before=before)
    found = json.loads(done.stdout)
    worst = max(SEVERITIES.index(f["severity"]) for f in found["findings"])
    for f in found["findings"]:
        if list(f) != KEYS:
            raise ValueError(f"keys {list(f)}")
        if f["severity"] != "ok" and not (f["remedy"] or f["setting"] or f["command"]):
            raise ValueError(f"no remedy: {f}")
        if not f["cause"] or (f["severity"] != "ok" and not f["cost"]):
            raise ValueError(f"no cause or no cost: {f}")
    if found["status"] != done.returncode or done.returncode != max(0, worst - 1):
        raise ValueError(f"status {done.returncode}, in the document {found['status']}")
    for severity in SEVERITIES:
        count = sum(f["severity"] == severity for f in found["findings"])
        if count != found["counts"][severity]:
            raise ValueError(f"{severity}: {count}, and counts say {found['counts']}")
    return found


def check(name, what, *args):
    try:
        verdict(name, what(*args))
    except (ValueError, KeyError, OSError, subprocess.SubprocessError) as error:
        verdict(name, f"{type(error).__name__}: {error}")


def finding(found, name):
    return next((f for f in found["findings"] if f["check"] == name), None)


def forms_agree(proa, folder):
    document(proa)
    with open(f"{folder}/ring.yaml", "w", encoding="ascii") as file:
        file.write('ports: [{spec: "ring:a"}]\n')
    # Of such a node, what is measured (load, steal) changes from run to run; names do not.
    found = document(proa, "--config", f"{folder}/ring.yaml")
    text = doctor(proa, "--config", f"{folder}/ring.yaml").stdout
    for f in found["findings"]:
        if f["check"] not in text:
            return f"{f['check']} is not in the text"
    commands = doctor(proa, "--fix-print").stdout.splitlines()
    if len(commands) % 2 != 0:
        return "not a comment and a command each"
    for comment, command in zip(commands[0::2], commands[1::2]):
        if not comment.startswith("# ") or command.startswith("#"):
            return f"{comment!r}, {command!r}"
        if run("sh", "-n", "-c", command).returncode != 0:
            return f"no command of a shell: {command}"
    return None


def statuses(proa, folder):
    wrong = run(proa, "doctor", "--jsn")
    if wrong.returncode != 3 or wrong.stderr != "proa: doctor: no option '--jsn': see `help`\n":
        return f"wrong option: {wrong.returncode} {wrong.stderr}"
    found = document(proa, "--config", f"{folder}/none.yaml")
    if found["status"] != 2 or "No such file" not in finding(found, "configuration")["cause"]:
        return f"no file: {found['status']}"
    with open(f"{folder}/bad.yaml", "w", encoding="ascii") as file:
        file.write('ports: [{spec: "ring:a"}]\nlans: 2\n')
    found = document(proa, "--config", f"{folder}/bad.yaml")
    refused = finding(found, "configuration")
    if found["status"] != 2 or "bad.yaml:2: unknown key 'lans'" not in refused["cause"]:
        return f"bad file: {found['status']} {refused}"
    if finding(found, "clock-source") is None:
        return "the machine was not looked at"
    with open(f"{folder}/good.yaml", "w", encoding="ascii") as file:
        file.write('ports: [{spec: "ring:a"}]\n')
    found = document(proa, "--config", f"{folder}/good.yaml")
    if found["status"] == 2 or finding(found, "huge-pages")["severity"] != "ok":
        return f"a node of ring ports: {found['status']}"
    return None


def port_in_the_way(proa, folder):
    """A port that cannot be opened is no reason not to look."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        with open(f"{folder}/udp.yaml", "w", encoding="ascii") as file:
            file.write(f'ports: [{{spec: "udp:127.0.0.1:{port}"}}]\nsocket: none\n')
        found = document(proa, "--config", f"{folder}/udp.yaml")
    return None if finding(found, "udp-buffers") else "the port was not looked at"


def documented():
    """docs/doctor.md lists every check that the sources can report."""
    root = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
    with open(f"{root}/docs/doctor.md", encoding="utf-8") as file:
        docs = file.read()
    names = set()
    for source in glob.glob(f"{root}/control/doctor*.c"):
        with open(source, encoding="utf-8") as file:
            names |= set(re.findall(r'\b(?:doctor_add|doctor_ok|add_to|refuse)\('
                                    r'\s*[^,()"]+,\s*(?:&?x,\s*)?"([a-z-]+)"', file.read()))
    missing = [name for name in names if f"`{name}`" not in docs]
    if len(names) < 50:
        return f"only {len(names)} checks found in the sources"
    return f"not in docs/doctor.md: {missing}" if missing else None


def changes_nothing(proa):
    """No file is opened for writing, no name bound, nothing started, no limit set."""
    log = tempfile.NamedTemporaryFile(delete=False)
    log.close()
    done = run("strace", "-f", "-o", log.name, "-e",
               "trace=open,openat,creat,execve,clone,clone3,fork,vfork,unlink,mkdir,rename,"
               "setrlimit,prlimit64,bind",
               # Else a sanitizer starts a process of its own, and sets a limit.
               "-E", "ASAN_OPTIONS=detect_leaks=0:disable_coredump=0",
               proa, "doctor")
    with open(log.name, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()[1:]  # the first is its own start
    os.unlink(log.name)
    if done.returncode not in (0, 1, 2):
        return f"status {done.returncode}: {done.stderr}"
    if len(lines) < CALLS_LEAST:
        return f"only {len(lines)} calls were seen"
    for line in lines:
        call = re.sub(r'"[^"]*"', '""', line)  # whatever paths are called
        # Netlink sockets are bound to be asked; prlimit64 with a third argument sets.
        if re.search(r"O_WRONLY|O_RDWR|O_CREAT|(creat|execve|clone3?|v?fork|unlink|mkdir|rename|"
                     r"setrlimit)\(|bind\((?!.*AF_NETLINK)|prlimit64\([^,]*,[^,]*, [^N]", call):
            return line
    return None


def cannot_trace():
    """Why nothing can be traced here; None: it can."""
    if shutil.which("strace") is None:
        return "there is no strace"
    done = run("strace", "-o", "/dev/null", "true")
    return f"strace cannot trace: {done.stderr.strip()}" if done.returncode != 0 else None


def agrees_with_node(proa, folder, name):
    """On an interface of its own, step by step until the node starts."""
    before = ("ip", "netns", "exec", name)

    def node():
        process = subprocess.Popen([*before, proa, "node", "--config", f"{folder}/lab.yaml"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        if line.startswith("ready"):
            process.send_signal(signal.SIGTERM)
        try:
            said = process.communicate(timeout=30)[1]
        finally:
            process.kill()  # nothing, when it has ended
        if process.returncode != (0 if line else 1):
            raise ValueError(f"the node ended with {process.returncode}: {line}{said}")
        return None if line.startswith("ready") else said

    def both(check_name, why=None):
        """The node starts, or says why not; doctor agrees."""
        found = document(proa, "--config", f"{folder}/lab.yaml", before=before)
        said = finding(found, check_name)
        errors = [f for f in found["findings"] if f["severity"] == "error"]
        if why is None and errors:
            raise ValueError(f"errors: {errors}")
        if why is not None and said not in errors:
            raise ValueError(f"{check_name}: {said}")
        refused = node()
        if (why is None) != (refused is None) or (why is not None and why not in refused):
            raise ValueError(f"{check_name}: the node: {refused}, wanted: {why}")

    with open(f"{folder}/lab.yaml", "w", encoding="ascii") as file:
        file.write('ports: [{spec: "af_xdp:doc0"}]\nlanes: 1\nsocket: none\n')
    both("interface", "af_xdp:doc0: there is no such interface")
    for command in (
            f"link add doc0 netns {name} type veth peer name doc1 netns {name}",
            f"-n {name} link set doc1 up", f"-n {name} link set lo up"):
        done = run("ip", *command.split())
        if done.returncode != 0:
            return done.stderr
    both("interface", "af_xdp:doc0: is down")
    run("ip", "-n", name, "link", "set", "doc0", "up")
    both("interface-address", "af_xdp:doc0: has no address")
    run("ip", "-n", name, "address", "add", "10.79.0.1/24", "dev", "doc0")
    both("interface")
    run("ip", "-n", name, "link", "set", "doc0", "mtu", "1400")
    with open(f"{folder}/lab.yaml", "w", encoding="ascii") as file:
        file.write('ports: [{spec: "af_xdp:doc0", mtu: 1500}]\nlanes: 1\nsocket: none\n')
    both("mtu", "mtu 1500 is more than the interface's 1400")
    with open(f"{folder}/lab.yaml", "w", encoding="ascii") as file:
        file.write('ports: [{spec: "af_xdp:doc0"}]\nlanes: 2\nsocket: none\n')
    both("queues", "has 1 queues, the node 2 lanes")
    return None


def main():
    proa = sys.argv[1]
    folder = tempfile.mkdtemp(prefix="proa-doctor-e2e-")
    os.environ["XDG_STATE_HOME"] = os.environ["RUNTIME_DIRECTORY"] = folder
    name = f"doctor-{os.getpid()}"
    try:
        check("text, JSON and commands agree", forms_agree, proa, folder)
        check("exit statuses", statuses, proa, folder)
        check("every check is documented", documented)
        check("a port that cannot be opened", port_in_the_way, proa, folder)
        why = cannot_trace()
        if why:
            print(f"# nothing is changed: skipped, {why}")
        else:
            check("nothing is changed", changes_nothing, proa)
        why = no_lab()
        if why:
            print(f"# against a node on an interface: skipped, {why}")
        else:
            run("ip", "netns", "add", name)
            check("it says what the node says", agrees_with_node, proa, folder, name)
    finally:
        if os.path.exists(f"/run/netns/{name}"):
            run("ip", "netns", "del", name)
        shutil.rmtree(folder)
    return bad


if __name__ == "__main__":
    sys.exit(main())
