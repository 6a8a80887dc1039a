"""vastpy-cli: the same cluster from a shell."""

import json
import os
import subprocess
import sys

from sim import PASSWORD, USER


def cli(sim, *words, code=0, login=None):
    """Runs `vastpy-cli --json`; returns its output, parsed where it is JSON."""
    program = os.path.join(os.path.dirname(sys.executable), "vastpy-cli")
    access = login or ["--user", USER, "--password", PASSWORD]
    trust = ["--cert-file", sim.ca, "--cert-server", "localhost"]
    command = [program, *access, "--address", sim.address, *words]
    environment = {**os.environ, "VMS_CERT_FILE": trust[1], "VMS_CERT_SERVER": trust[3]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, f"vastpy-cli {' '.join(words)}: exit code {done.returncode}: {done.stderr[-400:]}"
    try:
        return json.loads(done.stdout)
    except ValueError:
        return done.stdout + done.stderr


def check_life(sim):
    """post, get, patch and delete of quotas and views, as JSON and as tables"""
    made = cli(sim, "--json", "post", "quotas", "name=shell", "path=/shell", "create_dir=true", "hard_limit=1000000")
    assert made["hard_limit"] == 1000000, made
    listed = cli(sim, "--json", "get", "quotas", "path__startswith=/sh")
    assert [q["id"] for q in listed] == [made["id"]]
    assert "shell" in cli(sim, "get", "quotas", "page_size=5")
    assert cli(sim, "--json", "patch", f"quotas/{made['id']}", "hard_limit=2000000")["hard_limit"] == 2000000
    assert "hard_limit" in cli(sim, "get", f"quotas/{made['id']}")
    cli(sim, "delete", f"quotas/{made['id']}")
    assert cli(sim, "--json", "get", "quotas", "name=shell") == []


def check_file_input(sim):
    """A body from a file"""
    path = os.path.join(sim.folder.name, "view.json")
    with open(path, "w", encoding="utf-8") as sink:
        json.dump({"path": "/file", "policy_id": 1, "protocols": ["NFS"], "create_dir": True}, sink)
    made = cli(sim, "--json", "-i", path, "post", "views")
    assert made["protocols"] == ["NFS"], made
    cli(sim, "delete", f"views/{made['id']}")


def check_versions_and_tables(sim):
    """Every table prints; other versions of the API are the same"""
    for name in ("clusters", "cnodes", "vippools", "vips", "tenants", "viewpolicies", "users", "events"):
        assert "|" in cli(sim, "get", name), name
    assert cli(sim, "--api-version", "v5", "--json", "get", "tenants")[0]["name"] == "default"


def check_token(sim):
    """An API token in place of a password"""
    made = cli(sim, "--json", "post", "apitokens", "name=shell", "expiry_date=1d")
    found = cli(sim, "--json", "get", "tenants", login=["--token", made["token"]])
    assert found[0]["id"] == 1, found


def check_errors(sim):
    """Errors end with exit code 2 and say what VMS said"""
    assert "404" in cli(sim, "get", "views/99999", code=2)
    assert "403" in cli(sim, "get", "views", code=2, login=["--token", "none"])
    assert "hard_limit" in cli(sim, "post", "quotas", "name=x", "path=/x", "hard_limit=many", code=2)
