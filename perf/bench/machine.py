# SPDX-License-Identifier: Apache-2.0
"""machine.py - what the figures were taken on: hardware, kernel, versions, settings."""
import glob
import os
import platform
import subprocess

PACKAGES = ("libdpdk-dev", "libxdp1", "libbpf1", "libjemalloc2", "libbenchmark1debian",
            "erlang-base", "gnuplot-nox")


def text_of(path, default="unknown"):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return default


def said_by(*words, default="unknown"):
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return default


def cpu():
    fields = dict(line.split(":", 1) for line in text_of("/proc/cpuinfo", "").split("\n\n")[0]
                  .splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    model = fields.get("model name", platform.machine())
    if "hypervisor" in fields.get("flags", ""):
        model += ", in a virtual machine"
    return model


def governor():
    governors = {text_of(path) for path in
                 glob.glob("/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor")}
    return ", ".join(sorted(governors)) or "none: the kernel does not scale frequencies here"


def huge_pages():
    said = []
    for folder in sorted(glob.glob("/sys/kernel/mm/hugepages/hugepages-*kB")):
        total = text_of(folder + "/nr_hugepages", "0")
        free = text_of(folder + "/free_hugepages", "0")
        size = int(folder.rsplit("-", 1)[1][:-2])
        said.append(f"{free} of {total} of {size // 1024} MiB free")
    return "; ".join(said) or "none"


def packages():
    said = said_by("dpkg-query", "-W", "-f=${Package} ${Version}\n", *PACKAGES, default="")
    return said.splitlines()


def commit(root):
    name = said_by("git", "-C", root, "rev-parse", "--short=12", "HEAD")
    if name != "unknown" and said_by("git", "-C", root, "status", "--porcelain",
                                     "--untracked-files=no"):
        name += ", with changes"
    return name


def built(build):
    """How meson was told to build."""
    said = {}
    options = said_by("meson", "introspect", "--buildoptions", build, default="")
    if options.startswith("["):
        import json  # pylint: disable=import-outside-toplevel
        wanted = ("buildtype", "optimization", "b_lto", "b_sanitize", "allocator", "c_args")
        said = {option["name"]: option["value"] for option in json.loads(options)
                if option["name"] in wanted}
    return said


def stolen():
    """Ticks of this machine's cores that the hypervisor gave to others, and all."""
    ticks = [int(word) for word in text_of("/proc/stat", "cpu 0").split("\n")[0].split()[1:]]
    return (ticks[7] if len(ticks) > 7 else 0), sum(ticks[:8])


def describe(root, build):
    cores = len(os.sched_getaffinity(0))
    return {
        "cpu": cpu(),
        "cores": cores,
        "governor": governor(),
        "isolated cores": text_of("/sys/devices/system/cpu/isolated") or "none",
        "memory": text_of("/proc/meminfo").split("\n")[0].split(":")[-1].strip(),
        "huge pages": huge_pages(),
        "transparent huge pages": text_of("/sys/kernel/mm/transparent_hugepage/enabled"),
        "kernel": f"{platform.system()} {platform.release()}",
        "kernel's command line": text_of("/proc/cmdline"),
        "distribution": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "load before": text_of("/proc/loadavg"),
        "user": "root" if os.geteuid() == 0 else "an ordinary user",
        "DPDK": said_by("pkg-config", "--modversion", "libdpdk"),
        "compiler": said_by("cc", "--version").split("\n")[0],
        "commit": commit(root),
        "build": built(build),
        "packages": packages(),
    }
