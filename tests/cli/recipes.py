#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The recipes of docs/SCALE.md are the files beside it, and their commands do what it says."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re
import signal
import subprocess
import time

import command
import tap
from command import VHDX, vhdx
from disks import MIB, noise
from script import vhdxio

DOCS = os.path.join(HERE, os.pardir, os.pardir, "docs")
MANIFEST = os.path.join(DOCS, "scale", "kubernetes.yaml")


def text(*names):
    with open(os.path.join(DOCS, *names), encoding="ascii") as file:
        return file.read()


def yaml():
    try:
        import yaml as module
    except ImportError:
        return "no YAML module for Python"
    yaml.load = lambda: list(module.safe_load_all(text("scale", "kubernetes.yaml")))
    return None


def environment(folder, **more):
    tools = os.path.join(folder, ".tools")
    if not os.path.exists(tools):
        os.mkdir(tools)
        os.symlink(os.path.realpath(VHDX), os.path.join(tools, "vhdx"))
    return {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", **more}


def chain(folder, name, size=4 * MIB):
    raw, base, child = (os.path.join(folder, name + last) for last in (".img", ".vhdx", "_1.avhdx"))
    with open(raw, "wb") as file:
        for number in range(size // MIB):
            file.write(noise(f"{name} {number % 8}", MIB))
    vhdx("convert", "-q", "--no-sync", raw, base)
    os.unlink(raw)
    vhdx("create", "-q", "--parent", base, child)
    vhdxio(child, lines=["write 64K 64K 7", "close"])
    return child


@tap.case("the page shows the files as they stand")
def _(_):
    page = text("SCALE.md")
    for name, language in (("convert.sbatch", "bash"), ("kubernetes.yaml", "yaml")):
        assert f"```{language}\n{text('scale', name)}```\n" in page, f"docs/SCALE.md does not show {name} as it is"
        assert f"(scale/{name})" in page, name
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", page))
    assert named and all(os.path.exists(os.path.join(DOCS, os.pardir, name)) for name in named), named


@tap.case("the list of all newest checkpoints is made as the page says")
def _(folder):
    estate, out = os.path.join(folder, "hyper v"), os.path.join(folder, "converted")
    wanted = []
    for name in ("web", "mail server", "files"):
        os.makedirs(os.path.join(estate, name))
        child = chain(os.path.join(estate, name), name)
        wanted.append(f"{child}|{out}/{name}_1.raw")
    vhdx("create", "-q", os.path.join(estate, "alone.vhdx"), "4M")
    wanted.append(f"{estate}/alone.vhdx|{out}/alone.raw")
    commands = re.search(r"```sh\n(find .*?)```", text("SCALE.md"), re.S)[1]
    commands = commands.replace("/hyperv", f"'{estate}'").replace("/converted", out)
    command.run(["bash", "-eu", "-c", commands], cwd=folder, env=environment(folder))
    with open(os.path.join(folder, "list"), encoding="utf-8") as file:
        assert sorted(file.read().splitlines()) == sorted(wanted)


@tap.case("the manifest is a ConfigMap and an indexed Job for all of its lines", yaml)
def _(_):
    config, job = yaml.load()
    assert (config["apiVersion"], config["kind"]) == ("v1", "ConfigMap")
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    lines = config["data"]["list"].splitlines()
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert spec["completionMode"] == "Indexed" and spec["completions"] == len(lines)
    # What the API refuses: these two belong together, and a policy to pods that are not started again in place.
    assert pod["restartPolicy"] == "Never" and spec["backoffLimitPerIndex"] >= 1
    container, = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounts) == set(volumes) and volumes["list"]["configMap"]["name"] == config["metadata"]["name"]
    for rule in spec["podFailurePolicy"]["rules"]:
        assert rule["action"] in ("FailIndex", "FailJob", "Ignore", "Count"), rule
        assert ("onExitCodes" in rule) != ("onPodConditions" in rule), rule
        assert rule.get("onExitCodes", {}).get("containerName", container["name"]) == container["name"]
    for line in lines:
        source, out = line.split("|")
        assert source.startswith(mounts["from"] + "/") and out.startswith(mounts["to"] + "/"), line
    assert container["env"] == [{"name": "LIST", "value": f"{mounts['list']}/list"}], container["env"]


def pod(folder, index, **more):
    container = yaml.load()[1]["spec"]["template"]["spec"]["containers"][0]
    words = [*container["command"], *container["args"]]
    return subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                            env=environment(folder, LIST=os.path.join(folder, "list"),
                                            JOB_COMPLETION_INDEX=str(index), **more))


@tap.case("the manifest's command, killed or ended in the middle, leaves no copy, and ends right when it is run again",
          yaml)
def _(folder):
    pairs = [(chain(folder, name, size), os.path.join(folder, f"{name} out.raw"))
             for name, size in (("first one", 4 * MIB), ("second", 96 * MIB))]
    with open(os.path.join(folder, "list"), "w", encoding="utf-8") as file:
        file.writelines(f"{source}|{out}\n" for source, out in pairs)
    for number in (signal.SIGTERM, signal.SIGKILL):
        stopped = pod(folder, 1, LD_BIND_NOW="1")
        time.sleep(0.02)
        stopped.send_signal(number)
        stopped.communicate()
        assert stopped.returncode == 0 or not os.path.exists(pairs[1][1] + ".done"), stopped.returncode
    for said in "", "complete copy":
        for index, (source, out) in enumerate(pairs):
            process = pod(folder, index)
            told, err = process.communicate()
            assert process.returncode == 0, err
            assert said in told, told
            vhdx("compare", source, out)


@tap.case("the manifest's command fails with 2, which is not tried again, for a damaged image only", yaml)
def _(folder):
    source = chain(folder, "damaged")
    with open(source, "r+b") as file:
        file.seek(192 * 1024)
        file.write(bytes(128 * 1024 + 65536))
    with open(os.path.join(folder, "list"), "w", encoding="utf-8") as file:
        file.write(f"{source}|{folder}/out.raw\n{folder}/none.vhdx|{folder}/none.raw\n")
    for index, status in enumerate((2, 1)):
        process = pod(folder, index)
        err = process.communicate()[1]
        assert process.returncode == status, (process.returncode, err)


tap.main()
