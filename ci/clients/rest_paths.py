"""Every operation of the OpenAPI document, where there is one: which are implemented, and whether each answers as declared."""

import re

import openapi
from recorder import Recorder, absent, fill, served
from rest_contract import report
from tables import all_tables

# In this order, so that what one needs is not yet deleted by another.
ORDER = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def rank(operation):
    method, path = operation
    return (ORDER.index(method), -path.count("/"), path)


def check_every_operation(sim):
    """Each operation that is implemented answers an empty request with what is declared or a clear refusal"""
    spec, place = openapi.document()
    if spec is None:
        print("     no OpenAPI document (VAST_OPENAPI names none): not checked by operation", flush=True)
        return
    api, recorder, wrong = openapi.OpenApi(spec), Recorder(sim), {}
    served(recorder, all_tables())
    fill(recorder)
    implemented, absent_ones, refused = [], [], set()
    for method, path in sorted(api.operations(), key=rank):
        kind = path.strip("/").split("/")[0]
        names = re.findall(r"\{(\w+)\}", path)
        ids = {name: recorder.ids.get(kind, 1) for name in names}
        status, body = recorder.call(method, path, None if method == "GET" else {}, **ids)
        if absent(status, body):
            absent_ones.append(path)
            continue
        if status == 501:
            refused.add(kind)
            assert "not available" in str(body), body
            continue
        implemented.append(f"{method} {path}")
        complaints = [c for c in api.complaints(method, path, status, body) if not openapi.excuse(f"{method} {path} {status}", c)]
        if status == 500:
            complaints.append(f"status {status}: {str(body)[:100]}")
        if complaints:
            wrong[f"{method} {path} {status}"] = complaints
    whole = len(list(api.operations()))
    print(f"     {place}: {whole} operations, {len(implemented)} implemented and validated, {len(wrong)} deviate", flush=True)
    print(f"     {len(absent_ones)} are no such path or method: {', '.join(sorted(set(absent_ones)))}", flush=True)
    print(f"     refused as not available: {', '.join(sorted(refused))}", flush=True)
    report(wrong, "the OpenAPI document")
