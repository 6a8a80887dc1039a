"""Answers against an OpenAPI document of VMS, where there is one: VAST_OPENAPI names it, or it lies in its usual place."""

import json
import os
import re

import jsonschema

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
USUAL = os.path.join(ROOT, "..", "shared", "reference", "vms-openapi-5.5.json")
# Statuses that VMS has everywhere and the document declares almost nowhere.
UNDECLARED = {400, 401, 403, 404, 405, 409, 503}
# Where this simulator deviates from the document on purpose: operation, complaint, reason.
EXCUSED = [
    (r"GET /(events|userquotas)/ ", r"is not of type 'array'", "clients read these lists in an envelope"),
    (r".*/vtasks/", r"messages: ", "clients read a list of texts, the last one being the cause of a failure"),
    (r".*/(managers|login|logout)/", r"(roles|permissions): ", "a manager has several; clients send and read lists"),
    (r".*/monitors/", r"(prop_list|data|object_ids): ", "clients read and send lists here"),
    (r"GET /(metrics|s3keys)/ ", r"is not of type 'object'", "clients read these lists as lists"),
    (r"GET /(users|groups)/names/ ", r"is not of type 'object'", "many names begin alike: the answer is a list"),
    (r"POST /kafkabrokers/ ", r"is not of type 'array'", "what was made is answered as everywhere else"),
    (r"POST /racks/ ", r"^async_task is missing", "a rack is there at once, without a task"),
    (r"PATCH /(cnodes|dnodes)/", r"^async_task is missing", "a node is switched at once, without a task"),
    (r"PATCH ", r"is not declared$", "clients hand on what a change answers: it is the whole object"),
    (r".*", r"(passw|passwd|bindpw|password|password_retype|private_key|cert_pass|secret|secret_key)\w*'? is (missing|a required)", "secrets are never shown"),
]


def document():
    """The document and where it was found; none when there is none."""
    for place in (os.environ.get("VAST_OPENAPI"), USUAL):
        if place and os.path.exists(place):
            with open(place, encoding="utf-8") as source:
                return json.load(source), os.path.normpath(place)
    return None, None


def relaxed(schema):
    """The schema in which whatever is not required may be null, as VMS answers: the document never says nullable."""
    if isinstance(schema, list):
        return [relaxed(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "array" and "enum" in schema:
        # The document gives the choices of an array's items at the array.
        schema = {**schema, "items": {**schema.get("items", {}), "enum": schema["enum"]}}
        del schema["enum"]
    made = {k: (v if k in ("required", "enum", "default", "example") else relaxed(v)) for k, v in schema.items()}
    made.pop("format", None)
    properties = made.get("properties")
    if isinstance(properties, dict):
        required = made.get("required", []) if isinstance(made.get("required"), list) else []
        hidden = {n for n, p in properties.items() if isinstance(p, dict) and p.get("writeOnly")}
        made["properties"] = {n: p if n in required else {"anyOf": [p, {"type": "null"}]} for n, p in properties.items()}
        if required:
            made["required"] = [n for n in required if n in properties and n not in hidden]
            if not made["required"]:
                del made["required"]
    if "required" in made and not isinstance(made["required"], list):
        del made["required"]
    return made


def excuse(operation, complaint):
    """The reason why this deviation is wanted, if it is."""
    for where, what, reason in EXCUSED:
        if re.match(where, operation) and re.search(what, complaint):
            return reason
    return None


def shortened(error):
    """The message without most of the value that it is about."""
    value, text = repr(error.instance), error.message
    return value[:80] + text.removeprefix(value) if text.startswith(value) else text[:200]


class OpenApi:
    """Checks single answers."""

    def __init__(self, spec):
        self.paths = spec["paths"]
        self.components = relaxed(spec["components"])
        self.raw = spec["components"]

    def operations(self):
        """All (method, path) pairs."""
        for path, methods in self.paths.items():
            for method in methods:
                if method in ("get", "post", "patch", "put", "delete"):
                    yield method.upper(), path

    def schema(self, method, path, status):
        """The declared schema of an answer; `False` when the status is not declared, none when it has no schema."""
        declared = self.paths[path][method.lower()]["responses"].get(str(status))
        if declared is None:
            return False
        return declared.get("content", {}).get("application/json", {}).get("schema")

    def properties(self, schema):
        """Names of an object's declared properties, through references and combinations."""
        if not isinstance(schema, dict):
            return {}
        if "$ref" in schema:
            return self.properties(self.raw["schemas"][schema["$ref"].rsplit("/", 1)[-1]])
        found = dict(schema.get("properties", {}))
        for part in schema.get("allOf", []):
            found.update(self.properties(part))
        return found

    def complaints(self, method, path, status, body):
        """What is wrong with an answer by the document."""
        schema = self.schema(method, path, status)
        if schema is False:
            return [] if status in UNDECLARED else [f"status {status} is not declared"]
        if schema is None or status >= 400:
            return []
        if isinstance(body, dict) and "results" in body and schema.get("type") == "array":
            body = body["results"]
        whole = {**relaxed(schema), "components": self.components}
        validator = jsonschema.Draft4Validator(whole)
        wrong = []
        for error in validator.iter_errors(body):
            deepest = jsonschema.exceptions.best_match([error])
            place = ".".join(str(p) for p in deepest.absolute_path) or "the answer"
            wrong.append(f"{place}: {shortened(deepest)}")
        rows = body if isinstance(body, list) else [body]
        wanted = self.properties(schema.get("items", {}) if schema.get("type") == "array" else schema)
        shown = {n for n, p in wanted.items() if not (isinstance(p, dict) and p.get("writeOnly"))}
        for row in rows:
            if wanted and isinstance(row, dict):
                wrong += [f"{name} is missing" for name in sorted(shown - set(row))]
                wrong += [f"{name} is not declared" for name in sorted(set(row) - set(wanted) - {"async_task"})]
        return sorted(set(wrong))
