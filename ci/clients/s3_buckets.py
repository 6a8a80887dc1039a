"""boto3: buckets and what belongs to them: policies, access lists, ownership, tags, cross-origin rules."""

import json

from s3 import body_of, client, owner, ready
from sim import refused

SECOND = "somebody"


def statement(effect, action, resource, principal="*", **more):
    return {"Effect": effect, "Principal": principal, "Action": action, "Resource": resource, **more}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def check_life(sim):
    """Buckets are made, found, listed and deleted; a bucket is a view"""
    s3 = client(sim, owner(sim))
    s3.create_bucket(Bucket="fresh")
    assert s3.head_bucket(Bucket="fresh")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "LocationConstraint" in s3.get_bucket_location(Bucket="fresh")
    (view,) = sim.api("GET", "views/", bucket="fresh")
    assert view["bucket_owner"] == "owner" and "S3" in view["protocols"], view
    listed = s3.list_buckets()
    assert "fresh" in [b["Name"] for b in listed["Buckets"]] and listed["Owner"]["ID"], listed
    s3.put_object(Bucket="fresh", Key="k", Body=b"")
    refused(409, s3.delete_bucket, Bucket="fresh", text="BucketNotEmpty")
    s3.delete_object(Bucket="fresh", Key="k")
    s3.delete_bucket(Bucket="fresh")
    refused(404, s3.head_bucket, Bucket="fresh")
    assert sim.api("GET", "views/", bucket="fresh") == []
    refused(404, s3.delete_bucket, Bucket="fresh", text="NoSuchBucket")


def check_names(sim):
    """Bad names and names in use are refused"""
    s3 = client(sim, owner(sim))
    s3.create_bucket(Bucket="in-use")
    refused((200, 409), s3.create_bucket, Bucket="in-use", text="BucketAlreadyOwnedByYou")
    other = client(sim, owner(sim, SECOND))
    refused(409, other.create_bucket, Bucket="in-use", text="BucketAlreadyExists")
    for name in ("UPPER", "un_der", "a..b", "192.168.1.1"):
        refused(400, s3.create_bucket, Bucket=name, text="InvalidBucketName")
    weak = sim.user("weak", allow_create_bucket=False)
    refused(403, client(sim, weak[1:]).create_bucket, Bucket="not-mine", text="AccessDenied")


def check_bucket_policy(sim):
    """Bucket policies give, and take away, by action, resource, principal and condition"""
    s3, other = ready(sim, "pol"), client(sim, owner(sim, SECOND))
    for key in ("open/1", "closed/1"):
        s3.put_object(Bucket="pol", Key=key, Body=key.encode())
    refused(404, s3.get_bucket_policy, Bucket="pol", text="NoSuchBucketPolicy")
    everything = ["arn:aws:s3:::pol", "arn:aws:s3:::pol/*"]
    s3.put_bucket_policy(Bucket="pol", Policy=policy(statement("Allow", "s3:GetObject", "arn:aws:s3:::pol/open/*")))
    assert json.loads(s3.get_bucket_policy(Bucket="pol")["Policy"])["Statement"][0]["Effect"] == "Allow"
    assert body_of(other.get_object(Bucket="pol", Key="open/1")) == b"open/1"
    refused(403, other.get_object, Bucket="pol", Key="closed/1", text="AccessDenied")
    refused(403, other.put_object, Bucket="pol", Key="open/2", Body=b"")
    refused(403, other.list_objects_v2, Bucket="pol")
    by_prefix = statement("Allow", "s3:ListBucket", "arn:aws:s3:::pol", Condition={"StringLike": {"s3:prefix": ["open/*"]}})
    s3.put_bucket_policy(Bucket="pol", Policy=policy(by_prefix))
    assert other.list_objects_v2(Bucket="pol", Prefix="open/")["KeyCount"] == 1
    refused(403, other.list_objects_v2, Bucket="pol", Prefix="closed/")
    deny = statement("Deny", "s3:GetObject", "arn:aws:s3:::pol/closed/*")
    s3.put_bucket_policy(Bucket="pol", Policy=policy(statement("Allow", "s3:*", everything), deny))
    other.put_object(Bucket="pol", Key="closed/2", Body=b"")
    refused(403, other.get_object, Bucket="pol", Key="closed/1")
    refused(403, s3.get_object, Bucket="pol", Key="closed/1")
    from_here = statement("Allow", "s3:GetObject", everything, Condition={"IpAddress": {"aws:SourceIp": "10.9.8.0/24"}})
    s3.put_bucket_policy(Bucket="pol", Policy=policy(from_here))
    refused(403, other.get_object, Bucket="pol", Key="open/1")
    over_tls = statement("Deny", "s3:*", everything, Condition={"Bool": {"aws:SecureTransport": "false"}})
    s3.put_bucket_policy(Bucket="pol", Policy=policy(statement("Allow", "s3:GetObject", everything), over_tls))
    refused(403, other.get_object, Bucket="pol", Key="open/1")
    secure = client(sim, owner(sim, SECOND), sim.s3_tls[0], verify=sim.ca)
    assert body_of(secure.get_object(Bucket="pol", Key="open/1")) == b"open/1"
    refused(400, s3.put_bucket_policy, Bucket="pol", Policy="{nonsense", text="MalformedPolicy")
    client(sim, owner(sim), sim.s3_tls[0], verify=sim.ca).delete_bucket_policy(Bucket="pol")
    refused(403, other.get_object, Bucket="pol", Key="open/1")


def check_identity_policy(sim):
    """Policies of VMS that are attached to a user decide over S3"""
    s3 = ready(sim, "idp")
    s3.put_object(Bucket="idp", Key="k", Body=b"1")
    user, *keys = sim.user("policed")
    mine = client(sim, keys)
    refused(403, mine.get_object, Bucket="idp", Key="k")
    text = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::idp/*"]}]})
    rule = sim.api("POST", "s3policies/", {"name": "reader", "policy": text, "enabled": True})
    sim.api("PATCH", f"users/{user}/", {"s3_policies_ids": [rule["id"]]})
    assert body_of(mine.get_object(Bucket="idp", Key="k")) == b"1"
    refused(403, mine.put_object, Bucket="idp", Key="k", Body=b"2")
    sim.api("PATCH", f"users/{user}/", {"s3_policies_ids": []})
    refused(403, mine.get_object, Bucket="idp", Key="k")
    sim.api("PATCH", f"users/{user}/", {"s3_superuser": True})
    mine.put_object(Bucket="idp", Key="k", Body=b"2")


def check_acl(sim):
    """Canned access lists and grants open buckets and objects"""
    s3, other = ready(sim, "acl", s3_object_ownership_rule="ObjectWriter"), client(sim, owner(sim, SECOND))
    s3.put_object(Bucket="acl", Key="k", Body=b"1")
    grants = s3.get_bucket_acl(Bucket="acl")["Grants"]
    assert [g["Permission"] for g in grants] == ["FULL_CONTROL"], grants
    refused(403, other.list_objects_v2, Bucket="acl")
    s3.put_bucket_acl(Bucket="acl", ACL="public-read")
    assert other.list_objects_v2(Bucket="acl")["KeyCount"] == 1
    refused(403, other.get_object, Bucket="acl", Key="k")
    s3.put_object_acl(Bucket="acl", Key="k", ACL="authenticated-read")
    assert body_of(other.get_object(Bucket="acl", Key="k")) == b"1"
    s3.put_object_acl(Bucket="acl", Key="k", ACL="private")
    refused(403, other.get_object, Bucket="acl", Key="k")
    s3.put_object(Bucket="acl", Key="k2", Body=b"2", ACL="public-read")
    assert body_of(other.get_object(Bucket="acl", Key="k2")) == b"2"
    assert len(s3.get_object_acl(Bucket="acl", Key="k2")["Grants"]) == 2


def check_documents(sim):
    """Tags, ownership, cross-origin rules, logging and notification are kept as they are put"""
    s3 = ready(sim, "docs")
    refused(404, s3.get_bucket_tagging, Bucket="docs", text="NoSuchTagSet")
    s3.put_bucket_tagging(Bucket="docs", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert s3.get_bucket_tagging(Bucket="docs")["TagSet"] == [{"Key": "a", "Value": "b"}]
    s3.delete_bucket_tagging(Bucket="docs")
    refused(404, s3.get_bucket_tagging, Bucket="docs")
    s3.put_bucket_ownership_controls(Bucket="docs", OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]})
    found = s3.get_bucket_ownership_controls(Bucket="docs")["OwnershipControls"]["Rules"]
    assert found == [{"ObjectOwnership": "BucketOwnerPreferred"}], found
    refused(404, s3.get_bucket_cors, Bucket="docs", text="NoSuchCORSConfiguration")
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://x.test"], "MaxAgeSeconds": 60}
    s3.put_bucket_cors(Bucket="docs", CORSConfiguration={"CORSRules": [rule]})
    assert s3.get_bucket_cors(Bucket="docs")["CORSRules"][0]["AllowedOrigins"] == ["https://x.test"]
    s3.delete_bucket_cors(Bucket="docs")
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket="docs")
    s3.put_bucket_notification_configuration(Bucket="docs", NotificationConfiguration={})
    s3.get_bucket_notification_configuration(Bucket="docs")
    refused(404, s3.get_bucket_lifecycle_configuration, Bucket="docs", text="NoSuchLifecycleConfiguration")


def check_cross_origin(sim):
    """A browser's preflight is answered by the bucket's cross-origin rules"""
    s3 = ready(sim, "cors")
    s3.put_object(Bucket="cors", Key="k", Body=b"1")
    rule = {"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://*.good.test"], "AllowedHeaders": ["*"], "MaxAgeSeconds": 60}
    s3.put_bucket_cors(Bucket="cors", CORSConfiguration={"CORSRules": [rule]})
    for origin, expected in (("https://a.good.test", 200), ("https://evil.test", 403)):
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        answer = sim.http.request("OPTIONS", f"{sim.s3[0]}/cors/k", headers=asked)
        assert answer.status == expected, (origin, answer.status, answer.data[:200])
        if expected == 200:
            assert answer.headers["Access-Control-Allow-Origin"] in (origin, "*"), dict(answer.headers)
    url = s3.generate_presigned_url("get_object", {"Bucket": "cors", "Key": "k"}, 600)
    answer = sim.http.request("GET", url, headers={"Origin": "https://a.good.test"})
    assert answer.status == 200 and answer.headers.get("Access-Control-Allow-Origin"), dict(answer.headers)


def check_read_only_policy(sim):
    """A view policy that has an address read-only refuses writes from it"""
    s3 = ready(sim, "rop")
    s3.put_object(Bucket="rop", Key="k", Body=b"1")
    made = sim.api("POST", "viewpolicies/", {"name": "ro", "flavor": "S3_NATIVE", "s3_read_only": ["127.0.0.0/8"], "s3_read_write": []})
    view = sim.api("GET", "views/", bucket="rop")[0]
    sim.api("PATCH", f"views/{view['id']}/", {"policy_id": made["id"]})
    assert body_of(s3.get_object(Bucket="rop", Key="k")) == b"1"
    refused(403, s3.put_object, Bucket="rop", Key="k", Body=b"2")


def check_tenants_apart(sim):
    """A key of one tenant does not see another tenant's bucket"""
    ready(sim, "tenant-one")
    tenant = sim.api("POST", "tenants/", {"name": "apart"})
    user = sim.api("POST", "users/", {"name": "apart", "allow_create_bucket": True})
    pair = sim.api("POST", f"users/{user['id']}/access_keys/", {"tenant_id": tenant["id"]})
    foreign = client(sim, (pair["access_key"], pair["secret_key"]))
    assert foreign.list_buckets()["Buckets"] == []
    refused((403, 404), foreign.list_objects_v2, Bucket="tenant-one")


def check_snapshot_read(sim):
    """What a snapshot holds is read below .snapshot after it is gone"""
    s3 = ready(sim, "snapped")
    s3.put_object(Bucket="snapped", Key="d/k", Body=b"then")
    snap = sim.api("POST", "snapshots/", {"name": "daily", "path": "/snapped/", "tenant_id": 1})
    s3.put_object(Bucket="snapped", Key="d/k", Body=b"now")
    assert body_of(s3.get_object(Bucket="snapped", Key=".snapshot/daily/d/k")) == b"then"
    refused(403, s3.put_object, Bucket="snapped", Key=".snapshot/daily/d/k", Body=b"no")
    clone = sim.api("POST", f"snapshots/{snap['id']}/clone/", {"name": "c", "loanee_root_path": "/cloned", "loanee_tenant_id": 1, "enabled": True})
    sim.finished(clone["async_task"])
    sim.bucket("cloned", "owner")
    assert body_of(s3.get_object(Bucket="cloned", Key="d/k")) == b"then"
    sim.api("DELETE", f"snapshots/{snap['id']}/")
    refused(404, s3.get_object, Bucket="snapped", Key=".snapshot/daily/d/k")
