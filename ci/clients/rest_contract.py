"""Every implemented path's answers against the committed field tables and, where it is at hand, the OpenAPI document."""

import json

import openapi
from contract_calls import LIVES
from recorder import Recorder, absent, empty, fill, look, served
from tables import all_tables

STATE = {}
# What is answered when a secret is made is not the object, and the only time that the secret is shown.
UNLIKE = {("apitokens", "POST"), ("s3keys", "POST"), ("apitokens", "PATCH")}


def recorded(sim):
    """All answers of one whole life of a cluster; made once."""
    if "recorder" not in STATE:
        recorder = Recorder(sim)
        kinds = STATE["served"] = served(recorder, all_tables())
        made = fill(recorder)
        sim.advance(30)
        look(recorder, kinds)
        empty(recorder, made)
        for kind in kinds:
            recorder.call("GET", f"/{kind}/")
        STATE["recorder"] = recorder
    return STATE["recorder"]


def report(wrong, name):
    """Fails with all deviations, grouped."""
    if wrong:
        lines = [f"{place}: {'; '.join(sorted(set(what))[:8])}" for place, what in sorted(wrong.items())]
        raise AssertionError(f"{len(wrong)} operations deviate from {name}:\n       " + "\n       ".join(lines))


def check_every_table_is_served(sim):
    """Every resource that has a field table is served"""
    recorded(sim)
    missing = sorted(k for k, t in all_tables().items() if "list" in t.methods and k not in STATE["served"])
    assert not missing, f"not served: {', '.join(missing)}"


def check_tables(sim):
    """Every answer has the fields, types and choices of its table, and the table's status"""
    tables, wrong = all_tables(), {}
    statuses = {"GET": "200", "POST": "create", "PATCH": "patch", "DELETE": "delete"}
    for method, path, status, body in recorded(sim).answers:
        kind, *rest = path.strip("/").split("/")
        table = tables.get(kind)
        if table is None or rest not in ([], ["{id}"]) or absent(status, body) or status >= 400:
            continue
        what = wrong.setdefault(f"{method} {path} {status}", [])
        declared = table.methods.get(statuses[method], "200") if method != "GET" else "200"
        if declared != "task" and str(status) != declared:
            what.append(f"status {status}, not {declared}")
        rows = body.get("results") if isinstance(body, dict) and "results" in body else body
        for row in rows if isinstance(rows, list) else [rows]:
            if isinstance(row, dict) and (kind, method) not in UNLIKE and method != "DELETE":
                what += table.complaints(row)
    report({k: w for k, w in wrong.items() if w}, "the tables")


def check_errors(sim):
    """Every refusal is JSON: a detail, a list per field, or a text"""
    wrong = {}
    for method, path, status, body in recorded(sim).answers:
        if status < 400:
            continue
        good = isinstance(body, str) or (isinstance(body, dict) and (
            "detail" in body or all(isinstance(v, list) and v for v in body.values()) and body))
        if not good or status in (500, 502, 504):
            wrong.setdefault(f"{method} {path}", []).append(f"{status} {json.dumps(body)[:200]}")
    report(wrong, "the form of errors")


def check_flows_succeed(sim):
    """What the scenario creates, changes and deletes succeeds the first time"""
    wrong, seen = {}, set()
    recorder = recorded(sim)
    for number, (method, path, status, body) in enumerate(recorder.answers):
        if number in recorder.meant_to_fail:
            continue
        first = (method, path) not in seen
        seen.add((method, path))
        if method == "POST" and path.count("/") == 2 and path.strip("/") in LIVES:
            continue
        if first and status >= 400:
            wrong[f"{method} {path}"] = [f"{status} {json.dumps(body)[:160]}"]
    report(wrong, "what clients expect")


def check_openapi(sim):
    """Every answer of a whole life validates against the OpenAPI document"""
    spec, place = openapi.document()
    if spec is None:
        print("     no OpenAPI document (VAST_OPENAPI names none): only the tables were checked", flush=True)
        return
    api, wrong, seen, unknown, excused = openapi.OpenApi(spec), {}, set(), set(), {}
    known = set(api.operations())
    for method, path, status, body in recorded(sim).answers:
        if (method, path) not in known:
            unknown.add(f"{method} {path}")
            continue
        if absent(status, body) or (status == 404 and method == "GET"):
            continue
        seen.add((method, path))
        operation = f"{method} {path} {status}"
        for complaint in api.complaints(method, path, status, body):
            reason = openapi.excuse(operation, complaint)
            if reason:
                excused.setdefault(reason, set()).add(f"{method} {path}")
            else:
                wrong.setdefault(operation, []).append(complaint)
    deviating = {k.rsplit(" ", 1)[0] for k in wrong}
    print(f"     {place}: {len(known)} operations; {len(seen)} answered here and validated, {len(deviating)} deviate", flush=True)
    for reason, operations in sorted(excused.items()):
        print(f"     deviates on purpose in {len(operations)} operations: {reason}", flush=True)
    if unknown:
        print(f"     in no document: {', '.join(sorted(unknown))}", flush=True)
    report(wrong, "the OpenAPI document")
