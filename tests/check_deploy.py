# SPDX-License-Identifier: Apache-2.0
"""Parts of check_deploy.sh: what YAML and the container file say, read by a program."""
import json
import re
import subprocess
import sys

# Between the two: what the build installs and the image does not need to.
TESTS_ONLY = {"libbenchmark-dev", "libcmocka-dev"}


def wrong(why):
    sys.exit(why)


def kubernetes(path, node_path):
    import yaml
    with open(path, encoding="utf-8") as file:
        documents = list(yaml.safe_load_all(file))
    for document in documents:
        for key in ("apiVersion", "kind", "metadata"):
            if key not in document:
                wrong(f"a document without {key}")
    by_kind = {}
    for document in documents:
        by_kind.setdefault(document["kind"], []).append(document)
    plugin, node = by_kind["ConfigMap"]
    network, = by_kind["NetworkAttachmentDefinition"]
    pod, = by_kind["Pod"]
    config = json.loads(plugin["data"]["config.json"])
    if "pools" in config:
        offered = {f"afxdp/{pool['name']}" for pool in config["pools"]}
        variable = "AFXDP_DEVICES"
    else:
        offered = {f"intel.com/{row['resourceName']}" for row in config["resourceList"]}
        name = config["resourceList"][0]["resourceName"]
        variable = f"PCIDEVICE_INTEL_COM_{name.upper()}"
    json.loads(network["spec"]["config"])
    resource = network["metadata"]["annotations"]["k8s.v1.cni.cncf.io/resourceName"]
    if resource not in offered:
        wrong(f"the network wants {resource}, the plugin offers {offered}")
    if pod["metadata"]["annotations"]["k8s.v1.cni.cncf.io/networks"] != network["metadata"]["name"]:
        wrong("the pod names another network")
    container, = pod["spec"]["containers"]
    for words in ("requests", "limits"):
        if container["resources"][words].get(resource) != "1":
            wrong(f"{words} has no {resource}")
    if container["resources"]["requests"] != container["resources"]["limits"]:
        wrong("requests and limits differ: the pod is not Guaranteed, and gets no cores of its own")
    if variable not in container["args"][0]:
        wrong(f"{variable} is not used")
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    if mounts != volumes:
        wrong(f"mounts {mounts}, volumes {volumes}")
    maps = [volume["configMap"]["name"] for volume in pod["spec"]["volumes"] if "configMap" in volume]
    if maps != [node["metadata"]["name"]]:
        wrong(f"the pod mounts {maps}")
    text = node["data"]["node.yaml"]
    parsed = yaml.safe_load(text)
    places = [mount["mountPath"] for mount in container["volumeMounts"]]
    for key in ("cluster_key_file", "state_dir", "socket"):
        if not any(parsed[key].startswith(place + "/") for place in places):
            wrong(f"{key} is in no volume")
    with open(node_path, "w", encoding="utf-8") as file:
        file.write(text)


def stages(path):
    """Instructions of each stage, continued lines joined."""
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n", " ", "\n".join(lines))
    found = []
    for line in filter(str.strip, text.splitlines()):
        word, rest = line.split(None, 1)
        if word not in ("FROM", "RUN", "COPY", "ENV", "ENTRYPOINT", "CMD"):
            wrong(f"unknown instruction {word}")
        if word == "FROM":
            found.append([])
        if word in ("ENTRYPOINT", "CMD"):
            json.loads(rest)
        if word == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)
        found[-1].append((word, rest))
    return found


def packages(stage):
    run = next(rest for word, rest in stage if word == "RUN")
    return set(run.split("--no-install-recommends", 1)[1].split("&&", 1)[0].split())


def container_build(path, setup_path):
    with open(setup_path, encoding="utf-8") as file:
        wanted = set(re.search(r'^packages_build="([^"]*)"', file.read(), re.M).group(1).split())
    has = packages(stages(path)[0])
    if has != wanted - TESTS_ONLY:
        wrong(f"only in the container file: {has - wanted}, missing: {wanted - TESTS_ONLY - has}")
    for word, rest in stages(path)[1]:
        if word == "COPY" and not rest.startswith("--from=build /out/"):
            wrong(f"COPY {rest}: not from what was installed")


def container_run(path, library):
    text = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
    needed = re.findall(r"NEEDED.*\[(.*)\]", text)
    installs = packages(stages(path)[1])
    missing = []
    for name in needed:
        said = subprocess.run(["dpkg-query", "-S", f"*/{name}"], capture_output=True, text=True,
                              check=False).stdout
        owners = {line.split(":")[0] for line in said.splitlines()}
        if "libc6" not in owners and not owners & installs:
            missing.append(f"{name} ({', '.join(sorted(owners)) or 'nobody has it'})")
    if missing:
        wrong("not installed: " + ", ".join(missing))
    known = subprocess.run(["apt-cache", "pkgnames", "lib"], capture_output=True, text=True, check=False).stdout
    if known and installs - set(known.split()):
        wrong(f"there is no package {installs - set(known.split())}")


{"kubernetes": kubernetes, "container-build": container_build,
 "container-run": container_run}[sys.argv[1]](*sys.argv[2:])
