"""Calls to VMS that are kept with their answers, and one whole life of everything that a cluster has."""

import re

from contract_calls import LIVES, OTHERS
from s3 import client
from tables import all_tables


# Made by the cluster alone, or below a view of blocks that the scenario lacks.
NOT_MADE = {"cnodes", "events", "s3keys", "volumes"}


class Recorder:
    """Calls VMS and keeps what it answered, by operation as documents name it."""

    def __init__(self, sim):
        self.sim, self.answers, self.ids = sim, [], {}
        self.meant_to_fail = set()

    def call(self, method, template, body=None, query=None, **ids):
        """One call; `{name}` in the path is an id."""
        path = template
        for name, value in {**self.ids, **ids}.items():
            path = path.replace("{" + name + "}", str(value))
        headers = {**self.sim.basic, "Content-Type": "application/json"}
        answer = self.sim.call(method, "/api" + path, body, headers, query)
        documented = re.sub(r"\{\w+\}", "{id}", template)
        try:
            parsed = answer.json() if answer.data else None
        except ValueError:
            parsed = answer.text
        self.answers.append((method, documented, answer.status, parsed))
        return answer.status, parsed
    def answers_of(self, kind):
        """The rows of the last list of a resource."""
        found = [body for method, path, status, body in self.answers if path == f"/{kind}/" and status == 200]
        rows = found[-1] if found else []
        return rows.get("results", []) if isinstance(rows, dict) else rows

    def filled(self, value):
        """A body with the ids of what was made."""
        if isinstance(value, dict):
            return {k: self.filled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.filled(v) for v in value]
        if isinstance(value, str) and value[:1] == "{" and value[1:-1] in self.ids:
            return self.ids[value[1:-1]]
        return value


def absent(status, body):
    """Whether an answer says that there is no such path or method."""
    return status == 405 or (status == 404 and body == {"detail": "Not found."})


def served(recorder, tables):
    """The resources that answer a list; notes an id of each that has objects."""
    found = [k for k, t in tables.items() if "list" in t.methods and not absent(*recorder.call("GET", f"/{k}/"))]
    for kind in found:
        rows = recorder.answers_of(kind)
        if rows:
            recorder.ids[kind] = rows[0].get("id")
    return found


def fill(recorder):
    """Makes and changes one object of every kind, with all that can be done to it; returns the kinds made."""
    made = []
    for kind, (body, change, actions) in LIVES.items():
        recorder.call("POST", f"/{kind}/", {})
        _, row = recorder.call("POST", f"/{kind}/", recorder.filled(body))
        if isinstance(row, dict) and "id" in row:
            recorder.ids[kind] = row["id"]
            made.append(kind)
            recorder.call("GET", f"/{kind}/{{id}}/", id=row["id"])
            recorder.call("PATCH", f"/{kind}/{{id}}/", recorder.filled(change), id=row["id"])
            recorder.call("POST", f"/{kind}/", recorder.filled(body))
        if kind == "views":
            _, *keys = recorder.sim.user("contract-writer", s3_superuser=True)
            client(recorder.sim, keys).put_object(Bucket="contract", Key="x/1", Body=b"1")
        for method, path, given, query in actions:
            recorder.call(method, path, recorder.filled(given), query, id=recorder.ids.get(kind, 0))
    # Of everything else that can be made, one object with just what it must have; last what must have another one.
    needs = lambda table: any(name in table.relations for name in table.required())
    for kind, table in sorted(all_tables().items(), key=lambda item: needs(item[1])):
        if kind in LIVES or "create" not in table.methods or kind in NOT_MADE:
            continue
        _, row = recorder.call("POST", f"/{kind}/", table.body(recorder.ids))
        if isinstance(row, dict) and "id" in row:
            recorder.ids[kind] = row["id"]
            made.append(kind)
            recorder.call("GET", f"/{kind}/{{id}}/", id=row["id"])
            if "patch" in table.methods:
                recorder.call("PATCH", f"/{kind}/{{id}}/", {}, id=row["id"])
    for method, path, body, query in OTHERS:
        recorder.call(method, path, recorder.filled(body), query)
        if path.startswith("/clusters/"):
            recorder.sim.advance(5)
    return made


def look(recorder, kinds):
    """Lists, pages, objects and what is not there, of every kind."""
    for kind in kinds:
        recorder.call("GET", f"/{kind}/")
        recorder.call("GET", f"/{kind}/", query={"page_size": 1})
        if kind in recorder.ids:
            recorder.call("GET", f"/{kind}/{{id}}/", id=recorder.ids[kind])
        recorder.meant_to_fail.add(len(recorder.answers))
        recorder.call("GET", f"/{kind}/{{id}}/", id=987654)


def empty(recorder, made):
    """Deletes what was made, the last first, and each a second time."""
    for kind in reversed(made):
        if kind == "apitokens":
            recorder.call("PATCH", "/apitokens/{id}/revoke", id=recorder.ids[kind])
            continue
        for _ in range(2):
            recorder.call("DELETE", f"/{kind}/{{id}}/", query={"force": "true"}, id=recorder.ids[kind])
        recorder.sim.advance(30)
