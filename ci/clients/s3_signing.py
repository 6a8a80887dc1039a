"""boto3: how requests are addressed and signed, and who may send them."""

import json
import re
import urllib.request

from botocore import UNSIGNED
from s3 import body_of, client, keys_of, owner, ready
from sim import DOMAIN, Answer, refused

BUCKET = "signing"


def plain(sim, method, url, body=None, headers=None):
    return Answer(sim.http.request(method, url, body=body, headers=headers or {}))


def check_virtual_host(sim):
    """Virtual-host addressing by name, over HTTP and HTTPS; path style beside it"""
    ready(sim, BUCKET)
    for tls in (False, True):
        named = {"verify": sim.ca} if tls else {}
        for style in ("virtual", "path", "auto"):
            s3 = client(sim, owner(sim), sim.by_name(tls=tls), config={"s3": {"addressing_style": style}}, **named)
            seen = []
            s3.meta.events.register("before-send.s3.PutObject", lambda request, **_: seen.append(request.url) and None)
            key = f"v/{style}/ü %2F+"
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"by name")
            virtual = f"//{BUCKET}.{DOMAIN}" in seen[0]
            assert virtual == (style == "virtual"), seen
            assert body_of(s3.get_object(Bucket=BUCKET, Key=key)) == b"by name"
            assert key in keys_of(s3.list_objects_v2(Bucket=BUCKET))
            assert BUCKET in [b["Name"] for b in s3.list_buckets()["Buckets"]]


def check_any_region(sim):
    """Any region is accepted"""
    ready(sim, BUCKET)
    for region in ("eu-central-1", "vast-1", "US", "HERE-2", "us-east-1"):
        client(sim, owner(sim), region=region).put_object(Bucket=BUCKET, Key="region", Body=region.encode())


def check_payload_signing(sim):
    """Signed and unsigned payloads, checksums only when required"""
    ready(sim, BUCKET)
    for tls in (False, True):
        for signing in (True, False):
            for checksums in ("when_supported", "when_required"):
                config = {
                    "s3": {"payload_signing_enabled": signing},
                    "request_checksum_calculation": checksums,
                    "response_checksum_validation": checksums,
                }
                endpoint, named = (sim.s3_tls[1], {"verify": sim.ca}) if tls else (sim.s3[1], {})
                s3 = client(sim, owner(sim), endpoint, config=config, **named)
                s3.put_object(Bucket=BUCKET, Key="payload", Body=b"p" * 5000)
                assert body_of(s3.get_object(Bucket=BUCKET, Key="payload")) == b"p" * 5000


def check_presigned(sim):
    """Presigned GET, PUT, HEAD and DELETE; expired, changed and foreign ones are refused"""
    s3 = ready(sim, BUCKET)
    put = s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "pre signed"}, 600)
    assert plain(sim, "PUT", put, b"signed away").status == 200
    get = s3.generate_presigned_url(
        "get_object", {"Bucket": BUCKET, "Key": "pre signed", "ResponseContentType": "text/x"}, 600
    )
    answer = plain(sim, "GET", get)
    assert answer.data == b"signed away" and answer.headers["Content-Type"] == "text/x", answer
    assert plain(sim, "GET", get.replace("pre%20signed", "other")).status == 403
    assert plain(sim, "PUT", get, b"x").status == 403
    assert plain(sim, "GET", get, headers={"Range": "bytes=0-5"}).data == b"signed"
    short = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "pre signed"}, 60)
    delete = s3.generate_presigned_url("delete_object", {"Bucket": BUCKET, "Key": "pre signed"}, 3600)
    sim.advance(61)
    answer = plain(sim, "GET", short)
    assert answer.status == 403 and "AccessDenied" in answer.text and "expired" in answer.text, answer
    assert plain(sim, "DELETE", delete).status == 204
    refused(404, s3.head_object, Bucket=BUCKET, Key="pre signed")


def check_presigned_by_name(sim):
    """Presigned URLs with the bucket in the host name"""
    ready(sim, BUCKET)
    s3 = client(sim, owner(sim), sim.by_name(), config={"s3": {"addressing_style": "virtual"}, "signature_version": "s3v4"})
    url = s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "named"}, 600)
    assert f"//{BUCKET}.{DOMAIN}:" in url, url
    assert plain(sim, "PUT", url, b"1").status == 200
    assert body_of(s3.get_object(Bucket=BUCKET, Key="named")) == b"1"


def check_sigv2(sim):
    """Signature version 2, in headers and presigned, where the cluster enables it; refused where it does not"""
    ready(sim, BUCKET)
    for style in ("path", "virtual"):
        config = {"signature_version": "s3", "s3": {"addressing_style": style}}
        endpoint = sim.by_name() if style == "virtual" else sim.s3[0]
        old = client(sim, owner(sim), endpoint, config=config)
        enable_v2(sim, True)
        old.put_object(Bucket=BUCKET, Key="old/ü +", Body=b"two", Metadata={"x": "y"})
        assert body_of(old.get_object(Bucket=BUCKET, Key="old/ü +", ResponseContentType="a/b")) == b"two"
        assert old.get_bucket_location(Bucket=BUCKET)
        assert "old/ü +" in keys_of(old.list_objects_v2(Bucket=BUCKET, Prefix="old/"))
        url = old.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "old/ü +"}, 600)
        assert plain(sim, "GET", url).data == b"two"
        wrong = client(sim, (owner(sim)[0], "not the secret"), endpoint, config=config)
        refused(403, wrong.get_object, Bucket=BUCKET, Key="old/ü +", text="SignatureDoesNotMatch")
        enable_v2(sim, False)
        error = None
        try:
            old.get_object(Bucket=BUCKET, Key="old/ü +")
        except Exception as failure:
            error = failure
        assert error and error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403), error
    enable_v2(sim, True)


def enable_v2(sim, on):
    sim.cluster(s3_enable_v2_authentication=on, s3_block_v2_authentication=not on)


def check_wrong_keys(sim):
    """Unknown keys, wrong secrets, disabled keys and old dates are refused"""
    ready(sim, BUCKET)
    good = owner(sim)
    unknown = client(sim, ("AKIAIOSFODNN7EXAMPLE", "x" * 40))
    refused(403, unknown.list_buckets, text="InvalidAccessKeyId")
    wrong = client(sim, (good[0], "x" * 40))
    refused(403, wrong.get_object, Bucket=BUCKET, Key="region", text="SignatureDoesNotMatch")
    refused(403, wrong.head_bucket, Bucket=BUCKET)
    number, *pair = sim.user("switched", allow_create_bucket=True)
    mine = client(sim, pair)
    mine.list_buckets()
    sim.api("PATCH", f"users/{number}/access_keys/", {"access_key": pair[0], "enabled": False})
    refused(403, mine.list_buckets)
    sim.api("PATCH", f"users/{number}/access_keys/", {"access_key": pair[0], "enabled": True})
    mine.list_buckets()
    sim.api("DELETE", f"users/{number}/access_keys/", {"access_key": pair[0]})
    refused(403, mine.list_buckets, text="InvalidAccessKeyId")


def check_others_are_kept_out(sim):
    """A user without a policy cannot reach another's bucket"""
    s3 = ready(sim, BUCKET)
    s3.put_object(Bucket=BUCKET, Key="mine", Body=b"1")
    stranger = client(sim, owner(sim, "stranger"))
    refused(403, stranger.get_object, Bucket=BUCKET, Key="mine", text="AccessDenied")
    refused(403, stranger.put_object, Bucket=BUCKET, Key="theirs", Body=b"", text="AccessDenied")
    refused(403, stranger.list_objects_v2, Bucket=BUCKET)
    refused(403, stranger.delete_object, Bucket=BUCKET, Key="mine")
    assert BUCKET not in [b["Name"] for b in stranger.list_buckets()["Buckets"]]


def check_anonymous(sim):
    """Unsigned requests work where the view allows them and nowhere else"""
    s3 = ready(sim, BUCKET)
    s3.put_object(Bucket=BUCKET, Key="open", Body=b"1")
    unsigned = client(sim, owner(sim), config={"signature_version": UNSIGNED})
    refused(403, unsigned.get_object, Bucket=BUCKET, Key="open")
    view = sim.api("GET", "views/", bucket=BUCKET)[0]
    sim.api("PATCH", f"views/{view['id']}/", {"allow_s3_anonymous_access": True})
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    assert body_of(unsigned.get_object(Bucket=BUCKET, Key="open")) == b"1"
    with urllib.request.urlopen(f"{sim.s3[0]}/{BUCKET}/open") as page:
        assert page.read() == b"1"
    refused(403, unsigned.put_object, Bucket=BUCKET, Key="open", Body=b"2")
    s3.delete_bucket_policy(Bucket=BUCKET)
    sim.api("PATCH", f"views/{view['id']}/", {"allow_s3_anonymous_access": False})
    refused(403, unsigned.get_object, Bucket=BUCKET, Key="open")


def check_errors(sim):
    """Errors are XML as AWS documents them; a HEAD has no body"""
    s3 = ready(sim, BUCKET)
    error = refused(404, s3.get_object, Bucket=BUCKET, Key="nothing", text="NoSuchKey")
    meta = error.response["ResponseMetadata"]
    assert meta["RequestId"] and meta["HTTPHeaders"]["content-type"].startswith("application/xml"), meta
    url = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "nothing"}, 600)
    text = plain(sim, "GET", url).text
    for tag in ("Code", "Message", "Resource", "RequestId", "HostId"):
        assert f"<{tag}>" in text, text


def check_not_implemented(sim):
    """What VAST does not have is NotImplemented, and counted"""
    s3 = ready(sim, BUCKET)
    name = "vast_cluster_metrics_S3Metrics_cmd_not_supported"

    def counted():
        text = plain(sim, "GET", f"{sim.vms}/api/prometheusmetrics/all", headers=sim.basic).text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(name + r"[{ ]", line))

    begun = counted()
    calls = [
        (s3.get_bucket_accelerate_configuration, {}),
        (s3.get_bucket_website, {}),
        (s3.get_bucket_replication, {}),
        (s3.list_bucket_inventory_configurations, {}),
        (s3.get_object_torrent, {"Key": "x"}),
        (s3.restore_object, {"Key": "x"}),
    ]
    for call, named in calls:
        refused(501, call, Bucket=BUCKET, text="NotImplemented", **named)
    assert counted() - begun == len(calls), (begun, counted())
