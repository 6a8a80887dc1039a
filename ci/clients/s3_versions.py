"""boto3: versions, object lock, tags and lifecycle."""

import datetime
import json

from s3 import body_of, client, keys_of, owner, ready
from sim import refused


def now(sim):
    """The cluster's time."""
    answer = sim.call("GET", "/sim/v1/clock", headers=sim.basic).json()
    return datetime.datetime.fromtimestamp(answer["now_ms"] / 1000, datetime.timezone.utc)


def versioned(sim, bucket):
    s3 = ready(sim, bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return s3


def check_versions(sim):
    """Every write makes a version; deleting makes a marker; deleting the marker brings it back"""
    s3 = ready(sim, "ver")
    assert "Status" not in s3.get_bucket_versioning(Bucket="ver")
    s3.put_object(Bucket="ver", Key="before", Body=b"0")
    versioned(sim, "ver")
    assert s3.get_bucket_versioning(Bucket="ver")["Status"] == "Enabled"
    view = sim.api("GET", "views/", bucket="ver")[0]
    assert view["s3_versioning"] is True, view["s3_versioning"]
    ids = [s3.put_object(Bucket="ver", Key="k", Body=b"%d" % n)["VersionId"] for n in range(3)]
    assert len(set(ids)) == 3
    assert body_of(s3.get_object(Bucket="ver", Key="k", VersionId=ids[0])) == b"0"
    assert s3.head_object(Bucket="ver", Key="k")["VersionId"] == ids[2]
    assert body_of(s3.get_object(Bucket="ver", Key="before", VersionId="null")) == b"0"
    gone = s3.delete_object(Bucket="ver", Key="k")
    assert gone["DeleteMarker"] is True and gone["VersionId"]
    error = refused(404, s3.get_object, Bucket="ver", Key="k", text="NoSuchKey")
    assert error.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    refused(405, s3.get_object, Bucket="ver", Key="k", VersionId=gone["VersionId"])
    listed = s3.list_object_versions(Bucket="ver", Prefix="k")
    assert [v["VersionId"] for v in listed["Versions"]] == ids[::-1], listed
    assert listed["DeleteMarkers"][0]["IsLatest"] is True
    assert keys_of(s3.list_objects_v2(Bucket="ver")) == ["before"]
    s3.delete_object(Bucket="ver", Key="k", VersionId=gone["VersionId"])
    assert body_of(s3.get_object(Bucket="ver", Key="k")) == b"2"
    s3.delete_object(Bucket="ver", Key="k", VersionId=ids[2])
    assert body_of(s3.get_object(Bucket="ver", Key="k")) == b"1"
    refused(404, s3.get_object, Bucket="ver", Key="k", VersionId=ids[2], text="NoSuchVersion")
    copied = s3.copy_object(Bucket="ver", Key="copy", CopySource={"Bucket": "ver", "Key": "k", "VersionId": ids[0]})
    assert copied["CopySourceVersionId"] == ids[0] and copied["VersionId"], copied


def check_version_paging(sim):
    """Versions are listed in pages, with delimiters"""
    s3 = versioned(sim, "verpage")
    expected = []
    for key in ("a/1", "a/2", "b"):
        made = [s3.put_object(Bucket="verpage", Key=key, Body=b"x")["VersionId"] for _ in range(3)]
        expected += [(key, v) for v in reversed(made)]
    pages = s3.get_paginator("list_object_versions").paginate(Bucket="verpage", PaginationConfig={"PageSize": 2})
    assert [(v["Key"], v["VersionId"]) for p in pages for v in p.get("Versions", [])] == expected
    page = s3.list_object_versions(Bucket="verpage", Delimiter="/")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["a/"] and len(page["Versions"]) == 3, page
    gone = s3.delete_objects(
        Bucket="verpage", Delete={"Objects": [{"Key": k, "VersionId": v} for k, v in expected] + [{"Key": "never"}]}
    )
    assert len(gone["Deleted"]) == 10, gone
    assert "Versions" not in s3.list_object_versions(Bucket="verpage")


def check_versioning_stays_on(sim):
    """Versioning cannot be suspended, over S3 or over VMS"""
    s3 = versioned(sim, "ver")
    try:
        s3.put_bucket_versioning(Bucket="ver", VersioningConfiguration={"Status": "Suspended"})
        raise AssertionError("suspended")
    except s3.exceptions.ClientError as error:
        assert 400 <= error.response["ResponseMetadata"]["HTTPStatusCode"] < 600, error
    view = sim.api("GET", "views/", bucket="ver")[0]
    answer = sim.call("PATCH", f"/api/views/{view['id']}/", {"s3_versioning": False}, {**sim.basic, "Content-Type": "application/json"})
    assert answer.status == 400, answer


def locked_bucket(sim, name):
    s3 = client(sim, owner(sim))
    made = sim.kept.__dict__.setdefault("locked", set())
    if name not in made:
        s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
        made.add(name)
    return s3


def check_lock(sim):
    """Retention keeps versions: governance with a way around, compliance without"""
    s3 = locked_bucket(sim, "lock")
    assert s3.get_object_lock_configuration(Bucket="lock")["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"
    until = now(sim) + datetime.timedelta(days=1)
    governed = s3.put_object(Bucket="lock", Key="g", Body=b"g", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    kept = s3.put_object(Bucket="lock", Key="c", Body=b"c", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    head = s3.head_object(Bucket="lock", Key="c")
    assert head["ObjectLockMode"] == "COMPLIANCE" and abs(head["ObjectLockRetainUntilDate"] - until).total_seconds() < 2
    for key, version in (("g", governed["VersionId"]), ("c", kept["VersionId"])):
        refused(403, s3.delete_object, Bucket="lock", Key=key, VersionId=version, text="AccessDenied")
        retention = s3.get_object_retention(Bucket="lock", Key=key)["Retention"]
        assert retention["Mode"] in ("GOVERNANCE", "COMPLIANCE")
    s3.delete_object(Bucket="lock", Key="g", VersionId=governed["VersionId"], BypassGovernanceRetention=True)
    refused(403, s3.delete_object, Bucket="lock", Key="c", VersionId=kept["VersionId"], BypassGovernanceRetention=True)
    sooner = {"Mode": "COMPLIANCE", "RetainUntilDate": until - datetime.timedelta(hours=1)}
    refused(403, s3.put_object_retention, Bucket="lock", Key="c", Retention=sooner)
    later = {"Mode": "COMPLIANCE", "RetainUntilDate": until + datetime.timedelta(hours=1)}
    s3.put_object_retention(Bucket="lock", Key="c", Retention=later)
    marker = s3.delete_object(Bucket="lock", Key="c")
    assert marker["DeleteMarker"] is True


def check_legal_hold(sim):
    """A legal hold keeps a version until it is lifted"""
    s3 = locked_bucket(sim, "lock")
    version = s3.put_object(Bucket="lock", Key="h", Body=b"h", ObjectLockLegalHoldStatus="ON")["VersionId"]
    assert s3.get_object_legal_hold(Bucket="lock", Key="h")["LegalHold"]["Status"] == "ON"
    refused(403, s3.delete_object, Bucket="lock", Key="h", VersionId=version, BypassGovernanceRetention=True)
    s3.put_object_legal_hold(Bucket="lock", Key="h", LegalHold={"Status": "OFF"})
    s3.delete_object(Bucket="lock", Key="h", VersionId=version)


def check_default_retention(sim):
    """A bucket's default retention applies to what is written"""
    s3 = locked_bucket(sim, "lockdef")
    rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}}
    s3.put_object_lock_configuration(Bucket="lockdef", ObjectLockConfiguration=rule)
    s3.put_object(Bucket="lockdef", Key="d", Body=b"d")
    head = s3.head_object(Bucket="lockdef", Key="d")
    left = head["ObjectLockRetainUntilDate"] - now(sim)
    assert head["ObjectLockMode"] == "GOVERNANCE" and datetime.timedelta(days=1, hours=23) < left <= datetime.timedelta(days=2)
    refused(400, ready(sim, "nolock").put_object, Bucket="nolock", Key="x", Body=b"", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=now(sim) + datetime.timedelta(days=1))


def check_tags(sim):
    """Tags by header, by call, through copies; limits"""
    s3 = ready(sim, "tags")
    s3.put_object(Bucket="tags", Key="t", Body=b"t", Tagging="a=1&b=%C3%BC%20x")

    def tags(key):
        return {t["Key"]: t["Value"] for t in s3.get_object_tagging(Bucket="tags", Key=key)["TagSet"]}

    assert tags("t") == {"a": "1", "b": "ü x"}, tags("t")
    assert s3.get_object(Bucket="tags", Key="t")["TagCount"] == 2
    source = {"Bucket": "tags", "Key": "t"}
    s3.copy_object(Bucket="tags", Key="t2", CopySource=source)
    s3.copy_object(Bucket="tags", Key="t3", CopySource=source, TaggingDirective="REPLACE", Tagging="c=3")
    assert tags("t2") == {"a": "1", "b": "ü x"} and tags("t3") == {"c": "3"}
    s3.put_object_tagging(Bucket="tags", Key="t", Tagging={"TagSet": [{"Key": "z", "Value": ""}]})
    assert tags("t") == {"z": ""}
    s3.delete_object_tagging(Bucket="tags", Key="t")
    assert tags("t") == {}
    many = {"TagSet": [{"Key": f"k{n}", "Value": ""} for n in range(11)]}
    refused(400, s3.put_object_tagging, Bucket="tags", Key="t", Tagging=many)
    twice = {"TagSet": [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]}
    refused(400, s3.put_object_tagging, Bucket="tags", Key="t", Tagging=twice, text="InvalidTag")


def check_rename_keeps_tags(sim):
    """A rename keeps tags and the version of the target"""
    s3 = versioned(sim, "vermove")
    s3.put_object(Bucket="vermove", Key="from", Body=b"1", Tagging="a=1")

    def add(request, **_):
        request.headers["x-amz-copy-disposition"] = "replace"

    s3.meta.events.register("before-sign.s3.CopyObject", add)
    s3.copy_object(Bucket="vermove", Key="to", CopySource={"Bucket": "vermove", "Key": "from"})
    assert keys_of(s3.list_objects_v2(Bucket="vermove")) == ["to"]
    assert s3.get_object_tagging(Bucket="vermove", Key="to")["TagSet"] == [{"Key": "a", "Value": "1"}]


# The cluster's clock goes forward by days from here on: what is signed after it has the clock of this machine.


def check_lifecycle(sim):
    """Lifecycle rules expire objects, old versions and open uploads when their time has come"""
    s3 = versioned(sim, "life")
    rules = [
        {"ID": "current", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 2}},
        {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "ver/"}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
        {"ID": "uploads", "Status": "Enabled", "Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
        {"ID": "off", "Status": "Disabled", "Filter": {"Prefix": "kept/"}, "Expiration": {"Days": 1}},
    ]
    s3.put_bucket_lifecycle_configuration(Bucket="life", LifecycleConfiguration={"Rules": rules})
    found = s3.get_bucket_lifecycle_configuration(Bucket="life")["Rules"]
    assert {r["ID"] for r in found} == {r["ID"] for r in rules}, found
    for key in ("tmp/a", "kept/b", "ver/c", "ver/c"):
        s3.put_object(Bucket="life", Key=key, Body=b"x")
    s3.create_multipart_upload(Bucket="life", Key="open")
    assert "expiry-date" in s3.head_object(Bucket="life", Key="tmp/a").get("Expiration", ""), "no x-amz-expiration"
    vms_rules = sim.api("GET", "s3lifecyclerules/")
    assert {r["name"] for r in vms_rules} >= {"current", "old", "uploads"}, [r["name"] for r in vms_rules]
    sim.advance(4 * 86400)
    state = json.dumps(sim.call("GET", "/sim/v1/state", headers=sim.basic).json())
    view = sim.api("GET", "views/", bucket="life")[0]
    # What expires in a versioned bucket stays as an old version; `kept/b` and the newest `ver/c` are current.
    assert view["logical_capacity"] == 3, view["logical_capacity"]
    assert '"open"' not in state, "the open upload is still there"
