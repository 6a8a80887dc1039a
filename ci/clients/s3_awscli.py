"""The AWS command line with its default settings, as a user types it."""

import hashlib
import json
import os
import subprocess
import sys

from s3 import owner
from sim import DOMAIN

BUCKET = "cli"
MIB = 1 << 20


def aws(sim, *words, endpoint=None, code=0, keys=None, text=None):
    """Runs `aws`; returns its output, parsed where it is JSON."""
    access, secret = keys or owner(sim)
    program = os.path.join(os.path.dirname(sys.executable), "aws")
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.path.join(sim.folder.name, "aws-config"),
    }
    command = [program, "--endpoint-url", endpoint or sim.s3[0], *words]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == code, f"aws {' '.join(words)[:200]}: exit code {done.returncode}: {said[-400:]}"
    if text:
        assert text in said, said[-400:]
    try:
        return json.loads(done.stdout)
    except ValueError:
        return said


def folder(sim, name):
    path = os.path.join(sim.folder.name, name)
    os.makedirs(path, exist_ok=True)
    return path


def tree(sim, name, files):
    """Writes files into a new folder."""
    root = folder(sim, name)
    for path, data in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as sink:
            sink.write(data)
    return root


def read(root):
    """All files below a folder."""
    found = {}
    for base, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(base, name), "rb") as source:
                found[os.path.relpath(os.path.join(base, name), root)] = source.read()
    return found


FILES = {"one.txt": b"one", "deep/er/two.bin": bytes(range(256)) * 99, "with space+ü.txt": b"3", "big.bin": bytes(range(251)) * 37_000}


def check_bucket_and_copy(sim):
    """s3 mb, cp up, ls, cp down, over HTTP and HTTPS"""
    aws(sim, "s3", "mb", f"s3://{BUCKET}")
    root = tree(sim, "up", FILES)
    aws(sim, "s3", "cp", "--recursive", root, f"s3://{BUCKET}/tree/")
    aws(sim, "s3", "ls", f"s3://{BUCKET}/tree/", text="PRE deep/")
    listed = aws(sim, "s3", "ls", "--recursive", "--summarize", f"s3://{BUCKET}/")
    assert "Total Objects: 4" in listed, listed
    down = folder(sim, "down")
    trust = ("--ca-bundle", sim.ca)
    aws(sim, *trust, "s3", "cp", "--recursive", f"s3://{BUCKET}/tree/", down, endpoint=sim.s3_tls[1])
    assert read(down) == FILES
    aws(sim, "s3", "ls", endpoint=sim.s3_tls[1], code=255, text="SSL")


def check_sync(sim):
    """s3 sync copies what differs and deletes what is gone"""
    root = tree(sim, "sync", FILES)
    said = aws(sim, "s3", "sync", root, f"s3://{BUCKET}/sync/", endpoint=sim.s3[1])
    assert said.count("upload:") == len(FILES), said[-300:]
    assert "upload:" not in aws(sim, "s3", "sync", root, f"s3://{BUCKET}/sync/", endpoint=sim.s3[2])
    os.remove(os.path.join(root, "one.txt"))
    aws(sim, "s3", "sync", "--delete", root, f"s3://{BUCKET}/sync/", text="delete:")
    back = folder(sim, "back")
    aws(sim, "s3", "sync", f"s3://{BUCKET}/sync/", back, endpoint=sim.s3[3])
    assert read(back) == {k: v for k, v in FILES.items() if k != "one.txt"}
    aws(sim, "s3", "sync", f"s3://{BUCKET}/sync/", f"s3://{BUCKET}/sync2/", text="copy:")


def check_move_and_remove(sim):
    """s3 mv and rm, one and many"""
    root = tree(sim, "mv", {"m": b"moved"})
    aws(sim, "s3", "mv", os.path.join(root, "m"), f"s3://{BUCKET}/m1")
    assert read(root) == {}
    aws(sim, "s3", "mv", f"s3://{BUCKET}/m1", f"s3://{BUCKET}/m2")
    aws(sim, "s3", "cp", f"s3://{BUCKET}/m2", "-", text="moved")
    aws(sim, "s3", "rm", f"s3://{BUCKET}/m2")
    aws(sim, "s3", "cp", f"s3://{BUCKET}/m2", "-", code=1, text="404")
    aws(sim, "s3", "rm", "--recursive", f"s3://{BUCKET}/sync2/")
    aws(sim, "s3", "rb", f"s3://{BUCKET}", code=1, text="BucketNotEmpty")


def check_presign(sim):
    """s3 presign makes a URL that anybody can read"""
    url = aws(sim, "s3", "presign", f"s3://{BUCKET}/tree/one.txt", "--expires-in", "300").strip()
    answer = sim.http.request("GET", url)
    assert answer.data == b"one", answer.data


def check_by_name(sim):
    """Virtual-host addressing, as a configuration file asks for it"""
    with open(os.path.join(sim.folder.name, "aws-config"), "w", encoding="utf-8") as config:
        config.write("[default]\ns3 =\n    addressing_style = virtual\n    multipart_chunksize = 6MB\n")
    root = tree(sim, "named", FILES)
    for tls in (False, True):
        trust = ("--ca-bundle", sim.ca) if tls else ()
        place = sim.by_name(tls=tls)
        assert DOMAIN in place
        aws(sim, *trust, "s3", "cp", "--recursive", root, f"s3://{BUCKET}/named/", endpoint=place)
        aws(sim, *trust, "s3", "ls", f"s3://{BUCKET}/named/", endpoint=place, text="big.bin")
    os.remove(os.path.join(sim.folder.name, "aws-config"))
    head = aws(sim, "s3api", "head-object", "--bucket", BUCKET, "--key", "named/big.bin")
    assert head["ETag"].endswith('-2"'), head


def check_objects_by_api(sim):
    """s3api: put, head, get with range, tags, attributes, delete"""
    root = tree(sim, "api", {"o": b"0123456789"})
    ask = ("--bucket", BUCKET, "--key", "api/o")
    put = aws(sim, "s3api", "put-object", *ask, "--body", os.path.join(root, "o"), "--metadata", "a=b", "--checksum-algorithm", "CRC32")
    assert put["ETag"] == f'"{hashlib.md5(b"0123456789").hexdigest()}"' and put["ChecksumCRC32"], put
    sink = os.path.join(root, "part")
    got = aws(sim, "s3api", "get-object", *ask, "--range", "bytes=2-4", sink)
    assert got["ContentRange"] == "bytes 2-4/10" and read(root)["part"] == b"234"
    aws(sim, "s3api", "put-object-tagging", *ask, "--tagging", "TagSet=[{Key=k,Value=v}]")
    assert aws(sim, "s3api", "get-object-tagging", *ask)["TagSet"] == [{"Key": "k", "Value": "v"}]
    found = aws(sim, "s3api", "get-object-attributes", *ask, "--object-attributes", "ETag", "ObjectSize")
    assert found["ObjectSize"] == 10, found
    aws(sim, "s3api", "put-object", *ask, "--if-none-match", "*", "--body", sink, code=255, text="PreconditionFailed")
    aws(sim, "s3api", "delete-object", *ask)
    aws(sim, "s3api", "head-object", *ask, code=255, text="404")


def check_multipart_by_api(sim):
    """s3api: a multipart upload by hand, listed and aborted"""
    ask = ("--bucket", BUCKET, "--key", "api/multi")
    upload = aws(sim, "s3api", "create-multipart-upload", *ask)["UploadId"]
    root = tree(sim, "parts", {"p": b"only part"})
    part = aws(sim, "s3api", "upload-part", *ask, "--upload-id", upload, "--part-number", "1", "--body", os.path.join(root, "p"))
    listed = aws(sim, "s3api", "list-parts", *ask, "--upload-id", upload)
    assert listed["Parts"][0]["ETag"] == part["ETag"], listed
    uploads = aws(sim, "s3api", "list-multipart-uploads", "--bucket", BUCKET)
    assert [u["Key"] for u in uploads["Uploads"]] == ["api/multi"]
    parts = json.dumps({"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    done = aws(sim, "s3api", "complete-multipart-upload", *ask, "--upload-id", upload, "--multipart-upload", parts)
    assert done["ETag"].endswith('-1"'), done
    upload = aws(sim, "s3api", "create-multipart-upload", *ask)["UploadId"]
    aws(sim, "s3api", "abort-multipart-upload", *ask, "--upload-id", upload)


def check_buckets_by_api(sim):
    """s3api: versioning, policy, lifecycle, listing of buckets and versions"""
    aws(sim, "s3api", "create-bucket", "--bucket", "cli-two")
    names = [b["Name"] for b in aws(sim, "s3api", "list-buckets")["Buckets"]]
    assert "cli-two" in names and BUCKET in names, names
    aws(sim, "s3api", "get-bucket-location", "--bucket", "cli-two")
    aws(sim, "s3api", "put-bucket-versioning", "--bucket", "cli-two", "--versioning-configuration", "Status=Enabled")
    assert aws(sim, "s3api", "get-bucket-versioning", "--bucket", "cli-two")["Status"] == "Enabled"
    root = tree(sim, "versions", {"v": b"1"})
    for _ in range(2):
        aws(sim, "s3api", "put-object", "--bucket", "cli-two", "--key", "v", "--body", os.path.join(root, "v"))
    versions = aws(sim, "s3api", "list-object-versions", "--bucket", "cli-two")["Versions"]
    assert [v["IsLatest"] for v in versions] == [True, False], versions
    rules = {"Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 3}}]}
    aws(sim, "s3api", "put-bucket-lifecycle-configuration", "--bucket", "cli-two", "--lifecycle-configuration", json.dumps(rules))
    found = aws(sim, "s3api", "get-bucket-lifecycle-configuration", "--bucket", "cli-two")["Rules"]
    assert found[0]["Expiration"]["Days"] == 3, found
    aws(sim, "s3api", "get-bucket-policy", "--bucket", "cli-two", code=255, text="NoSuchBucketPolicy")
    aws(sim, "s3api", "get-bucket-acl", "--bucket", "cli-two", text="FULL_CONTROL")
    aws(sim, "s3api", "delete-bucket", "--bucket", "cli-two", code=255, text="BucketNotEmpty")


def check_wrong_secret(sim):
    """A wrong secret is said to be one"""
    aws(sim, "s3", "ls", keys=(owner(sim)[0], "x" * 40), code=255, text="SignatureDoesNotMatch")
