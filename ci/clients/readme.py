"""What the simulator's README tells newcomers to type, typed."""

import os
import re
import subprocess
import sys
from urllib.parse import urlsplit

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
OPTIONS = ["--config", os.path.join(ROOT, "vast-sim", "examples", "images.toml")]


def quick_start():
    """The commands of the quick start: every block of shell there, several lines where a quote is open."""
    with open(os.path.join(ROOT, "vast-sim", "README.md"), encoding="utf-8") as source:
        text = source.read().split("## Quick start", 1)[1].split("\n## ", 1)[0]
    commands = []
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            if commands and commands[-1].count("'") % 2:
                commands[-1] += "\n" + line
            else:
                commands.append(line)
    return commands


def check_quick_start(sim):
    """Every command of the quick start works, but for building, serving and installing, which this run did before"""
    done, tried = [], 0
    for command in quick_start():
        if command.startswith("cargo build") or " serve " in command or "pip install" in command:
            done.append(command)
            continue
        s3 = urlsplit(sim.s3[0])
        here = command.replace("try/bin/", os.path.dirname(sys.executable) + "/")
        here = here.replace("127.0.0.1:8443", sim.address).replace("127.0.0.11:8080", s3.netloc)
        here = here.replace("target/release/vast-sim", f"VAST_SIM_VMS={sim.vms} {sim.binary}")
        ran = subprocess.run(["sh", "-c", here], capture_output=True, text=True, timeout=60, cwd=ROOT)
        assert ran.returncode == 0, f"{command}: exit code {ran.returncode}: {ran.stderr[-400:]}"
        assert "images" in ran.stdout or "b'world'" in ran.stdout, f"{command}: {ran.stdout[:400]}"
        tried += 1
    assert len(done) == 3 and tried == 4, f"{len(done)} done before, {tried} tried"
    serve = next(command for command in done if " serve " in command)
    assert os.path.samefile(os.path.join(ROOT, serve.split("--config ")[1].split()[0]), OPTIONS[1]), serve
