"""Runs the checks of every client, one line each; `cargo ci clients` calls it inside a virtual environment.

A check is a function `check_*` of a module in MODULES; the first line of its docstring says what holds. Each module has
a cluster of its own and its checks run in the order of the file.
"""

import argparse
import importlib
import inspect
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed

HERE = os.path.dirname(os.path.abspath(__file__))

MODULES = [
    "s3_awscli",
    "s3_objects",
    "s3_multipart",
    "s3_versions",
    "s3_buckets",
    "s3_signing",
    "s3_wire",
    "s3_minio",
    "s3_layout",
    "vms_numbers",
    "vms_vastpy",
    "vms_vastpy_cli",
    "vms_habits",
    "rest_contract",
    "rest_filters",
    "rest_paths",
    "rest_relations",
    "readme",
]


def reason(error):
    """The error, and the line of the check that met it."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(HERE)]
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    text = str(error)
    if not text and frames:
        text = frames[-1].line
    return f"{type(error).__name__}: {text}{where}"


def checks_of(module):
    functions = inspect.getmembers(module, inspect.isfunction)
    mine = [f for name, f in functions if name.startswith("check_") and f.__module__ == module.__name__]
    return sorted(mine, key=lambda f: f.__code__.co_firstlineno)


def run_module(name, binary, only):
    """The results of one module: (check, what, error or None, seconds)."""
    sys.path.insert(0, HERE)
    from sim import Sim

    module = importlib.import_module(name)
    results = []
    with Sim(binary, *getattr(module, "OPTIONS", [])) as sim:
        for check in checks_of(module):
            label = f"{name}.{check.__name__.removeprefix('check_')}"
            if only and only not in label:
                continue
            what = (check.__doc__ or "").strip().splitlines()[0]
            start = time.monotonic()
            try:
                check(sim)
                error = None
            except Exception as failure:
                error = reason(failure)
            results.append((label, what, error, time.monotonic() - start))
        code = sim.process.poll()
        if code is not None:
            results.append((f"{name}.cluster", "The cluster is still there", f"it ended with {code}: {sim.said()}", 0))
        panics = [line for line in sim.said().splitlines() if "panicked" in line]
        if panics:
            results.append((f"{name}.panics", "The cluster never panics", panics[0], 0))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sim", required=True, help="the vast-sim binary")
    parser.add_argument("--module", action="append", help="run this module in place of all clients'")
    parser.add_argument("--only", default="", help="run only the checks whose name contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="modules at a time")
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = os.path.join(HERE, "dns")
    for name in [n for n in os.environ if n.startswith("AWS_") or n.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    begun, counts = time.monotonic(), Counter()
    with ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(run_module, m, arguments.sim, arguments.only): m for m in arguments.module or MODULES}
        for done in as_completed(running):
            try:
                results = done.result()
            except Exception as error:
                results = [(running[done], "The module runs", reason(error), 0)]
            for label, what, error, seconds in results:
                word = "FAIL" if error else "ok"
                print(f"{word:4} {label:48} {what} [{seconds:.1f} s]", flush=True)
                if error:
                    print(f"     {error}", flush=True)
                counts[word] += 1
    passed, failed = counts["ok"], counts["FAIL"]
    print(f"\n{passed} passed, {failed} failed in {time.monotonic() - begun:.0f} s")
    if not counts:
        print("no check has that name")
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
