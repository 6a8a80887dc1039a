"""The committed field tables (vast-sim/src/vms/tables): what a resource answers and of which types.

The first line of a table names the methods and their statuses; the others are fields: name, type, access, then choices
in braces and more that only the simulator needs. Access `r` is what clients see.
"""

import os

FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "vast-sim", "src", "vms", "tables")
# Fields of which one must be given; a table knows only those that must.
ONE_OF = {"userquotas": ["name", "identifier"]}
TYPES = {"text": str, "int": int, "float": (int, float), "bool": bool, "object": dict, "list": list, "any": object}


class Table:
    """One resource."""

    def __init__(self, kind, text):
        lines = text.splitlines()
        words = lines[0].removeprefix("methods:").split()
        self.relations, self.loose = {}, set()
        self.kind, self.methods, self.fields = kind, dict((w + "=").split("=")[:2] for w in words), {}
        for line in lines[1:]:
            name, type_name, access, *rest = line.split(" ")
            choices = next((r[1:-1].split("|") for r in rest if r.startswith("{")), [])
            self.fields[name] = (type_name, access, choices)
            self.relations.update({name: r[2:] for r in rest if r[:2] in ("->", "~>")})
            self.loose.update(name for r in rest if r[:2] == "~>")

    def required(self):
        return [n for n, (_, access, _) in self.fields.items() if "!" in access]

    def body(self, ids):
        """A body with just what POST must have; `ids` says where relations may lead."""
        values = {"text": "contract", "int": 1, "float": 1.0, "bool": True, "object": {}, "any": {}}

        def value(name):
            type_name, _, choices = self.fields[name]
            outer, _, inner = type_name.partition(":")
            kind = self.relations.get(name)
            one = ids.get(kind, 1) if kind else choices[0] if choices else values.get(inner or outer, "contract")
            return [one] if outer == "list" else one

        return {name: value(name) for name in self.required() + ONE_OF.get(self.kind, [])[:1]}

    def complaints(self, row):
        """What is wrong with an object as it was answered."""
        shown = {n: f for n, f in self.fields.items() if "r" in f[1]}
        wrong = [f"{n} is missing" for n in shown if n not in row]
        wrong += [f"{n} is in no table" for n in row if n not in shown and n != "async_task"]
        for name, (type_name, _, choices) in shown.items():
            wrong += typed(name, type_name, choices, row.get(name))
        for name in ("id", "guid", "url", "title", "tenant_name"):
            if name in shown and row.get(name) in (None, "") and not self.may_be_empty(name, row):
                wrong.append(f"{name} is empty")
        return wrong

    def may_be_empty(self, name, row):
        """Objects of the whole cluster have no tenant."""
        return name == "tenant_name" and row.get("tenant_id") is None


def typed(name, type_name, choices, value):
    """Whether the value is null or of the type and, where there are choices, one of them."""
    if value is None:
        return []
    outer, _, inner = type_name.partition(":")
    expected = TYPES[outer]
    right = isinstance(value, expected) and not (outer in ("int", "float") and isinstance(value, bool))
    if not right:
        return [f"{name} is {value!r}, not {type_name}"]
    if outer == "list":
        return [w for item in value for w in typed(f"{name}[]", inner or "any", choices, item)]
    if choices and isinstance(value, str) and value and value not in choices:
        return [f"{name} is {value!r}, not one of {choices}"]
    return []


def all_tables():
    names = sorted(n for n in os.listdir(FOLDER) if n.endswith(".txt"))
    made = {}
    for name in names:
        with open(os.path.join(FOLDER, name), encoding="utf-8") as source:
            made[name.removesuffix(".txt")] = Table(name.removesuffix(".txt"), source.read())
    return made
