"""Filters and pages on every field of every resource, against a naive filter over the same rows."""

import random
import re

from recorder import Recorder, fill, served
from rest_contract import report
from tables import all_tables

STATE = {}
# Figures that change by themselves from one list to the next.
MOVING = re.compile(r"time|last_|_bw|iops|latency|capacity|space|drr|used|^bw$|percent|uptime|heart")


def cluster(sim):
    """Rows of every kind that has some, of a cluster in which everything was made once; lists them once."""
    if not STATE:
        recorder = Recorder(sim)
        tables = all_tables()
        kinds = served(recorder, tables)
        fill(recorder)
        sim.advance(60)
        lists = {}
        for kind in kinds:
            _, rows = recorder.call("GET", f"/{kind}/", query={"page_size": 10000})
            lists[kind] = rows["results"]
        STATE.update(recorder=recorder, tables=tables, lists={k: v for k, v in lists.items() if v and "id" in v[0]})
    return STATE["recorder"], STATE["tables"], STATE["lists"]


def text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def holds(value, suffix, wanted):
    """What a filter means, said as plainly as possible; lists hold when one of their items does."""
    if suffix.startswith("not_") or suffix == "not":
        return not holds(value, suffix[4:] or "exact", wanted)
    if suffix == "isnull":
        return (value is None) == (wanted == "true")
    if isinstance(value, list):
        return any(holds(item, suffix, wanted) for item in value)
    if suffix == "in":
        return any(holds(value, "exact", one) for one in wanted.split(","))
    if value is None:
        return suffix in ("startswith", "contains", "icontains", "endswith") and wanted == ""
    if suffix == "exact":
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value) == float(wanted)
        return text(value) == wanted
    if suffix in ("gt", "gte", "lt", "lte"):
        a, b = (value, wanted) if isinstance(value, str) else (float(value), float(wanted))
        return {"gt": a > b, "gte": a >= b, "lt": a < b, "lte": a <= b}[suffix]
    a, b = text(value), wanted
    if suffix[0] == "i" and suffix != "in":
        a, b, suffix = a.lower(), b.lower(), suffix[1:]
    if suffix == "regex":
        return re.search(b, a) is not None
    return {"contains": b in a, "startswith": a.startswith(b), "endswith": a.endswith(b), "exact": a == b}[suffix]


TEXTS = ["exact", "iexact", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "in", "regex", "iregex", "not", "not_contains", "not_in", "isnull"]
NUMBERS = ["exact", "gt", "gte", "lt", "lte", "in", "not", "not_gt", "not_in", "isnull"]
BOOLS = ["exact", "not", "isnull"]


def filters(rows, name, dice):
    """(suffix, value) pairs for a field, of values that rows have."""
    values = [v for row in rows for v in (row[name] if isinstance(row.get(name), list) else [row.get(name)])]
    values = [v for v in values if v is not None and not isinstance(v, (dict, list)) and len(text(v)) < 80]
    if not values:
        return [("isnull", "true"), ("isnull", "false"), ("exact", "nothing-like-it")]
    value = dice.choice(values)
    suffixes = BOOLS if isinstance(value, bool) else NUMBERS if isinstance(value, (int, float)) else TEXTS
    found = []
    for suffix in dice.sample(suffixes, min(4, len(suffixes))):
        wanted = text(value)
        if suffix == "isnull":
            wanted = dice.choice(["true", "false"])
        elif suffix.endswith("in") and not suffix.endswith("contains"):
            if "," in wanted:
                continue
            wanted = ",".join([wanted] + [text(v) for v in values[:1] if "," not in text(v)])
        elif suffix.endswith("regex"):
            wanted = re.match(r"\w*", wanted)[0]
        elif "contains" in suffix or suffix.endswith("startswith"):
            wanted = wanted[: max(1, len(wanted) // 2)]
            wanted = wanted.upper() if suffix.startswith("i") else wanted
        elif suffix.endswith("endswith"):
            wanted = wanted[len(wanted) // 2 :]
        found.append((suffix, wanted))
    return found


def spelt(name, suffix):
    return name if suffix == "exact" else f"{name}__{suffix}"


def ids(rows):
    return [row["id"] for row in rows]


def check_every_field(sim):
    """A filter on any field of any resource keeps exactly the rows that a naive filter keeps, in their order, also by pages"""
    recorder, tables, lists = cluster(sim)
    dice, wrong, tried = random.Random(7), {}, 0
    for kind, rows in lists.items():
        for name in tables[kind].fields:
            if name not in rows[0] or MOVING.search(name):
                continue
            if any(isinstance(row.get(name), dict) or (row.get(name) and isinstance(row[name], list) and isinstance(row[name][0], (dict, list))) for row in rows):
                continue
            for suffix, wanted in filters(rows, name, dice):
                expected = ids([row for row in rows if holds(row.get(name), suffix, wanted)])
                query = {spelt(name, suffix): wanted, "page_size": 10000}
                status, page = recorder.call("GET", f"/{kind}/", query=query)
                tried += 1
                found = ids(page["results"]) if status == 200 else f"{status} {page}"
                if found != expected:
                    wrong.setdefault(f"{kind}.{spelt(name, suffix)}={wanted[:40]}", []).append(f"{str(found)[:60]}, not {str(expected)[:60]}")
    print(f"     {tried} filters on fields of {len(lists)} resources", flush=True)
    report(wrong, "a naive filter")


def check_relations(sim):
    """A filter that follows a relation keeps the rows whose related object has the value, and none when nobody has one"""
    recorder, tables, lists = cluster(sim)
    dice, wrong, tried = random.Random(8), {}, 0
    for kind, rows in lists.items():
        for field, target in tables[kind].relations.items():
            if field not in rows[0] or target not in lists or tables[kind].fields[field][0].startswith("list"):
                continue
            base = field.removesuffix("_id")
            others = {row["id"]: row for row in lists[target]}
            for name in ("id", "name", "guid"):
                if name not in tables[target].fields:
                    continue
                values = [other.get(name) for other in others.values() if other.get(name) is not None]
                suffixes = ["exact", "in", "isnull"] + (["contains", "startswith"] if name != "id" else ["gt", "lte"])
                for suffix in suffixes if values else []:
                    wanted = dice.choice(["true", "false"]) if suffix == "isnull" else text(dice.choice(values))
                    related = lambda row: (others.get(int(row[field])) or {}).get(name) if row.get(field) else None
                    expected = ids([row for row in rows if holds(related(row), suffix, wanted)])
                    query = {spelt(f"{base}__{name}", suffix): wanted, "page_size": 10000}
                    status, page = recorder.call("GET", f"/{kind}/", query=query)
                    tried += 1
                    found = ids(page["results"]) if status == 200 else f"{status} {page}"
                    if found != expected:
                        wrong.setdefault(f"{kind}.{spelt(f'{base}__{name}', suffix)}={wanted[:40]}", []).append(f"{str(found)[:60]}, not {str(expected)[:60]}")
    print(f"     {tried} filters on relations", flush=True)
    report(wrong, "a naive join")


def check_unknown(sim):
    """Parameters that name no field change nothing; pages of every list hold every row once"""
    recorder, tables, lists = cluster(sim)
    wrong = {}
    for kind, rows in lists.items():
        for name in ("tentant_id", "no_such_field__icontains", "name__no_such_suffix__at_all", "id__nothing", "__proto__", "_tenant_id", "__arguments"):
            status, page = recorder.call("GET", f"/{kind}/", query={name: "x", "page_size": 10000})
            if status != 200 or ids(page["results"]) != ids(rows):
                wrong.setdefault(f"{kind}?{name}=x", []).append(f"{status} {str(page)[:80]}")
        seen, number = [], 1
        while True:
            status, page = recorder.call("GET", f"/{kind}/", query={"page": number, "page_size": 7})
            seen += ids(page["results"])
            number += 1
            if not page["next"] or number > 200:
                break
        if seen != ids(rows):
            wrong.setdefault(f"pages of {kind}", []).append(str(seen)[:80])
    report(wrong, "lists without filters")


def check_dates(sim):
    """Times compare as times, however they are written"""
    recorder, _, lists = cluster(sim)
    _, page = recorder.call("GET", "/events/", query={"page_size": 10000})
    stamps = sorted({row["timestamp"] for row in page["results"]})
    assert len(stamps) > 4, stamps
    middle = stamps[len(stamps) // 2]
    later = sorted(ids([row for row in page["results"] if row["timestamp"] >= middle]))
    seconds, rest = middle[:-1].split(".")
    for spelling in (middle, middle.replace("T", " "), f"{seconds}.{rest}+00:00", f"{seconds}.{rest}000Z"):
        _, found = recorder.call("GET", "/events/", query={"timestamp__gte": spelling, "page_size": 10000})
        assert sorted(ids(found["results"])) == later, f"{spelling}: {len(found['results'])}, not {len(later)}"
    _, found = recorder.call("GET", "/events/", query={"timestamp": f"{seconds}.{rest}+00:00", "page_size": 10000})
    assert ids(found["results"]) == ids([row for row in page["results"] if row["timestamp"] == middle])
    _, found = recorder.call("GET", "/events/", query={"timestamp__lt": "2001-01-01", "page_size": 10})
    assert found["count"] == 0, found["count"]
    _, found = recorder.call("GET", "/events/", query={"timestamp__gt": "2001-01-01", "page_size": 10})
    assert found["count"] == len(page["results"]), found["count"]
