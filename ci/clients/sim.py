"""One simulated cluster in a process of its own, and the plain HTTP that checks use beside the clients under test."""

import json
import os
import subprocess
import tempfile
import time
from types import SimpleNamespace
from urllib.parse import urlsplit

import urllib3

DOMAIN = "s3.cluster.test"
USER, PASSWORD = "admin", "123456"


class Answer:
    """Status, headers and body of one plain call."""

    def __init__(self, response):
        self.status, self.headers, self.data = response.status, response.headers, response.data
        self.text = response.data.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.data)

    def __repr__(self):
        return f"{self.status} {self.text[:300]!r}"


class Sim:
    """Starts `vast-sim serve` on free ports; use it in a `with` statement."""

    def __init__(self, binary, *options):
        self.binary = binary
        self.folder = tempfile.TemporaryDirectory(prefix="vast-sim-clients-")
        self.log = open(os.path.join(self.folder.name, "log"), "w+", encoding="utf-8")
        command = [binary, "serve", "--vms-listen", "127.0.0.1:0", "--s3-port", "0", "--s3-tls-port", "0"]
        command += ["--tls-name", f"{DOMAIN},*.{DOMAIN}", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        try:
            ready = json.loads(line)
        except ValueError:
            self.close()
            raise RuntimeError(f"vast-sim did not start: {self.said() or line!r}") from None
        self.vms, self.ca = ready["vms"], ready["ca"]
        self.s3, self.s3_tls = ready["s3"], ready["s3_tls"]
        self.address = urlsplit(self.vms).netloc
        self.http = urllib3.PoolManager(ca_certs=self.ca, retries=False, timeout=30)
        self.basic = urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}")
        self.kept = SimpleNamespace()
        self.closing = []
        os.environ["SIM_DOMAIN"] = DOMAIN
        os.environ["SIM_ADDRESSES"] = ",".join(urlsplit(u).hostname for u in self.s3)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            for close in self.closing:
                close()
        finally:
            self.close()

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def said(self):
        self.log.seek(0)
        return self.log.read()[-2000:].strip()

    def by_name(self, name=DOMAIN, tls=False):
        """The address of the data path by its DNS name."""
        port = urlsplit((self.s3_tls if tls else self.s3)[0]).port
        return f"{'https' if tls else 'http'}://{name}:{port}"

    def call(self, method, path, body=None, headers=None, query=None):
        """One request exactly as given, with nothing added but the length."""
        data = None if body is None else body if isinstance(body, (bytes, str)) else json.dumps(body)
        url = self.vms + path
        if query:
            from urllib.parse import urlencode

            url += "?" + urlencode(query, doseq=True)
        return Answer(self.http.request(method, url, body=data, headers=headers or {}, preload_content=True))

    def api(self, method, path, body=None, **query):
        """A call by the administrator that must succeed; returns its JSON, if any."""
        headers = dict(self.basic)
        if body is not None:
            headers["Content-Type"] = "application/json"
        answer = self.call(method, "/api/" + path, body, headers, query)
        assert answer.status < 300, f"{method} {path}: {answer}"
        return answer.json() if answer.data else None

    def advance(self, seconds):
        """Moves the cluster's clock."""
        answer = self.call("POST", "/sim/v1/clock", {"advance_ms": int(seconds * 1000)}, self.basic)
        assert answer.status == 200, answer

    def finished(self, task):
        """The task, once it has ended; moves the clock in place of waiting."""
        for _ in range(200):
            now = self.api("GET", f"vtasks/{task['id']}/")
            if now["state"] != "RUNNING":
                return now
            self.advance(1)
        raise AssertionError(f"task does not end: {now}")

    def cluster(self, **changes):
        """Changes the cluster's settings, which takes a task."""
        number = self.api("GET", "clusters/")[0]["id"]
        assert self.finished(self.api("PATCH", f"clusters/{number}/", changes)["async_task"])["state"] == "COMPLETED"

    def user(self, name, **fields):
        """A user with a key pair: (id, access key, secret key)."""
        made = self.api("POST", "users/", {"name": name, "local_provider_id": 1, **fields})
        pair = self.api("POST", f"users/{made['id']}/access_keys/", {})
        return made["id"], pair["access_key"], pair["secret_key"]

    def policy(self, name="s3_default_policy"):
        return self.api("GET", "viewpolicies/", name=name)[0]["id"]

    def bucket(self, name, owner, **fields):
        """A view that is a bucket."""
        body = {"path": f"/{name}", "policy_id": self.policy(), "protocols": ["S3"], "bucket": name}
        return self.api("POST", "views/", {**body, "bucket_owner": owner, "create_dir": True, **fields})


def soon(condition, seconds=20):
    """Polls until the condition holds; for what runs beside us on the cluster's own clock."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("did not happen in time")


def refused(status, call, *arguments, text="", **named):
    """Asserts that a client's call fails with this HTTP status, and returns the error."""
    try:
        result = call(*arguments, **named)
    except Exception as error:  # every client has its own class
        response = getattr(error, "response", None)
        found = getattr(error, "status", None)
        if isinstance(response, dict):
            found = response["ResponseMetadata"]["HTTPStatusCode"]
        elif response is not None and found is None:
            found = response.status
        assert found in ((status,) if isinstance(status, int) else status), f"expected {status}, got {found}: {error}"
        assert text in str(error), f"expected {text!r} in {error}"
        return error
    raise AssertionError(f"expected {status}, but it succeeded: {str(result)[:200]}")
