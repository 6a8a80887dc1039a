"""Every relation of every resource, as the field tables tell them: what leads nowhere is refused, what is in use stays."""

from contract_calls import LIVES
from recorder import NOT_MADE, Recorder
from rest_contract import report
from tables import all_tables

NOWHERE = 987654
# Beside what POST must have: what makes each object differ from the others, and what its resource wants more.
UNLIKE = {
    "views": lambda n: {"path": f"/relation-{n}", "protocols": ["NFS"], "create_dir": True},
    "quotas": lambda n: {"path": f"/relation-{n}", "create_dir": True},
    "snapshots": lambda n: {"path": "/"},
    "globalsnapstreams": lambda n: {"loanee_root_path": f"/relation-{n}"},
    "protectedpaths": lambda n: {"source_dir": "/"},
    "vippools": lambda n: {"ip_ranges": [[f"127.0.{n % 200}.77", f"127.0.{n % 200}.77"]], "subnet_cidr": 24},
    "managers": lambda n: {"username": f"relation-{n}", "password": "Relation-1234"},
    "s3policies": lambda n: {"policy": LIVES["s3policies"][0]["policy"]},
    "users": lambda n: {"uid": 60000 + n},
    "groups": lambda n: {"gid": 60000 + n},
    "dns": lambda n: {"vip": "127.0.88.9"},
    "iamroles": lambda n: {"name": f"relation-{n}"},
}
# What a relation needs to be tried: a request that only holds together with it, or an object that the cluster makes.
EXCUSED = {
    ("replicationstreams", "tenant_id"): "a number of no use: the stream is in its path's tenant",
    ("globalsnapstreams", "loanee_tenant_id"): "needs a snapshot beside it",
    ("globalsnapstreams", "loanee_snapshot_id"): "a clone keeps its snapshot busy only until it is finished",
    ("globalsnapstreams", "remote_target_id"): "needs a snapshot beside it, and is tried with one in the flows",
    ("volumes", "view_id"): "needs a view of blocks, and is tried with one in the flows",
    ("volumes", "qos_policy_id"): "needs a view of blocks",
    ("encryptedpaths", "tenant_id"): "is made in one tenant at a time",
}


class Objects:
    """Makes and deletes objects of any kind by the tables."""

    def __init__(self, sim):
        self.recorder, self.tables, self.count = Recorder(sim), all_tables(), 0
        for kind, table in self.tables.items():
            if "list" in table.methods:
                _, rows = self.recorder.call("GET", f"/{kind}/", query={"page_size": 1})
                if isinstance(rows, dict) and rows.get("results"):
                    self.recorder.ids[kind] = rows["results"][0].get("id")

    def body(self, kind):
        self.count += 1
        table = self.tables[kind]
        body = table.body(self.recorder.ids)
        if "name" in table.fields and "c" in table.fields["name"][1]:
            body["name"] = f"relation-{self.count}"
        return {**body, **UNLIKE.get(kind, lambda n: {})(self.count)}

    def post(self, kind, **fields):
        return self.recorder.call("POST", f"/{kind}/", {**self.body(kind), **fields})

    def delete(self, kind, number):
        status, _ = self.recorder.call("DELETE", f"/{kind}/{{id}}/", id=number)
        if status < 300:
            self.recorder.sim.advance(30)
        return status

    def there(self, kind, number):
        return self.recorder.call("GET", f"/{kind}/{{id}}/", id=number)[0] == 200


def writable(tables, on):
    """(kind, field, target, whether it is a list) of the relations that a client can set."""
    for kind, table in tables.items():
        for field, target in table.relations.items():
            type_name, access, _ = table.fields[field]
            if on in access and (kind, field) not in EXCUSED and kind not in NOT_MADE:
                yield kind, field, target, type_name.startswith("list")


def check_nowhere(sim):
    """An id that leads nowhere is refused with 400 and the field's name, by POST and by PATCH"""
    objects, wrong, tried = Objects(sim), {}, 0
    for on, method in (("c", "POST"), ("p", "PATCH")):
        for kind, field, _, is_list in writable(objects.tables, on):
            if {"POST": "create", "PATCH": "patch"}[method] not in objects.tables[kind].methods:
                continue
            value = [NOWHERE] if is_list else NOWHERE
            if method == "POST":
                status, body = objects.post(kind, **{field: value})
            else:
                number = objects.recorder.ids.get(kind)
                if number is None and "create" not in objects.tables[kind].methods:
                    continue
                if number is None:
                    _, made = objects.post(kind)
                    number = objects.recorder.ids[kind] = made.get("id")
                status, body = objects.recorder.call("PATCH", f"/{kind}/{{id}}/", {field: value}, id=number)
            tried += 1
            if status != 400 or field not in body:
                wrong[f"{method} {kind}.{field}"] = [f"{status} {str(body)[:120]}"]
    print(f"     {tried} relations tried", flush=True)
    report(wrong, "what a lost id is answered")


def check_in_use(sim):
    """What another object refers to cannot be deleted until that object is gone"""
    objects, wrong, tried = Objects(sim), {}, 0
    for kind, field, target, is_list in writable(objects.tables, "c"):
        tables = objects.tables
        if "create" not in tables[kind].methods or "create" not in tables[target].methods or target in NOT_MADE:
            continue
        if "delete" not in tables[kind].methods or "delete" not in tables[target].methods:
            continue
        status, made = objects.post(target)
        if status >= 300:
            wrong[f"POST {target}"] = [f"{status} {str(made)[:160]}"]
            continue
        number = made["id"]
        status, user = objects.post(kind, **{field: [number] if is_list else number})
        if status >= 300:
            wrong[f"POST {kind} with {field}"] = [f"{status} {str(user)[:160]}"]
            objects.delete(target, number)
            continue
        tried += 1
        status = objects.delete(target, number)
        binding = field not in tables[kind].loose
        if binding and not (status in (400, 409) and objects.there(target, number)):
            wrong[f"DELETE {target} used by {kind}.{field}"] = [f"{status}"]
        if not binding and status >= 300:
            wrong[f"DELETE {target} named by {kind}.{field}"] = [f"{status}"]
        # What only names another object may go with it.
        gone = not binding and not objects.there(kind, user["id"])
        if not gone and objects.delete(kind, user["id"]) >= 300:
            wrong[f"DELETE {kind}"] = ["cannot be deleted"]
        if binding and (objects.delete(target, number) >= 300 or objects.there(target, number)):
            wrong[f"DELETE {target} that {kind}.{field} used"] = ["still there"]
    print(f"     {tried} relations tried", flush=True)
    report(wrong, "what holds for objects in use")
