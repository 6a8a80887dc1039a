"""boto3 with its default settings: objects, conditions, copies, checksums, listings."""

import datetime
import hashlib
import io

from s3 import body_of, client, keys_of, owner, ready
from sim import refused

BUCKET = "objects"
PATTERN = bytes(range(256)) * 40


def check_put_and_get(sim):
    """Put, get, head and delete with default checksums and trailers"""
    s3 = ready(sim, BUCKET)
    put = s3.put_object(Bucket=BUCKET, Key="a", Body=PATTERN, ContentType="x/y", Metadata={"who": "me"})
    assert put["ETag"] == f'"{hashlib.md5(PATTERN).hexdigest()}"', put
    assert put["ChecksumCRC32"] and put["ChecksumType"] == "FULL_OBJECT", put
    got = s3.get_object(Bucket=BUCKET, Key="a")
    assert body_of(got) == PATTERN and got["ContentType"] == "x/y" and got["Metadata"] == {"who": "me"}
    assert got["ChecksumCRC32"] == put["ChecksumCRC32"]
    head = s3.head_object(Bucket=BUCKET, Key="a")
    assert head["ContentLength"] == len(PATTERN) and head["ETag"] == put["ETag"] and head["AcceptRanges"] == "bytes"
    s3.delete_object(Bucket=BUCKET, Key="a")
    s3.delete_object(Bucket=BUCKET, Key="a")
    refused(404, s3.get_object, Bucket=BUCKET, Key="a", text="NoSuchKey")
    refused(404, s3.head_object, Bucket=BUCKET, Key="a")


def check_stream(sim):
    """A body of a file object goes as an aws-chunked stream with a trailer, over HTTP and HTTPS"""
    for endpoint, named in ((sim.s3[0], {}), (sim.s3_tls[0], {"verify": sim.ca})):
        ready(sim, BUCKET)
        s3 = client(sim, owner(sim), endpoint, **named)
        s3.put_object(Bucket=BUCKET, Key="stream", Body=io.BytesIO(PATTERN * 3))
        assert body_of(s3.get_object(Bucket=BUCKET, Key="stream")) == PATTERN * 3
        s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
        assert body_of(s3.get_object(Bucket=BUCKET, Key="empty")) == b""


def check_every_address(sim):
    """What is written at one VIP is read at every other, at once"""
    ready(sim, BUCKET)
    ones = [client(sim, owner(sim), u) for u in sim.s3]
    for number, one in enumerate(ones):
        one.put_object(Bucket=BUCKET, Key="vip", Body=f"{number}".encode())
        assert {body_of(c.get_object(Bucket=BUCKET, Key="vip")) for c in ones} == {f"{number}".encode()}


def check_checksums(sim):
    """All checksum algorithms are computed, verified and returned"""
    s3 = ready(sim, BUCKET)
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        key = f"sum-{algorithm}"
        put = s3.put_object(Bucket=BUCKET, Key=key, Body=PATTERN, ChecksumAlgorithm=algorithm)
        head = s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
        name = f"Checksum{algorithm}"
        assert head[name] == put[name], (algorithm, head)
    known = {"ChecksumCRC32C": "3ozRrw==", "ChecksumCRC64NVME": "4Qi5ipFKoPY="}
    for name, value in known.items():
        refused(400, s3.put_object, Bucket=BUCKET, Key="sum", Body=b"not it", text="BadDigest", **{name: value})
    attributes = s3.get_object_attributes(
        Bucket=BUCKET, Key="sum-SHA256", ObjectAttributes=["ETag", "Checksum", "ObjectSize", "StorageClass"]
    )
    assert attributes["ObjectSize"] == len(PATTERN) and attributes["Checksum"]["ChecksumSHA256"], attributes


def check_content_md5(sim):
    """Content-MD5 is verified"""
    s3 = ready(sim, BUCKET)
    refused(400, s3.put_object, Bucket=BUCKET, Key="md5", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==", text="BadDigest")
    refused(400, s3.put_object, Bucket=BUCKET, Key="md5", Body=b"x", ContentMD5="nonsense", text="InvalidDigest")
    refused(404, s3.head_object, Bucket=BUCKET, Key="md5")


def check_ranges(sim):
    """Ranges of every form"""
    s3 = ready(sim, BUCKET)
    s3.put_object(Bucket=BUCKET, Key="range", Body=PATTERN)
    for text, expected in (
        ("bytes=0-0", PATTERN[:1]),
        ("bytes=100-199", PATTERN[100:200]),
        ("bytes=10000-", PATTERN[10000:]),
        ("bytes=-5", PATTERN[-5:]),
        ("bytes=10200-99999", PATTERN[10200:]),
    ):
        got = s3.get_object(Bucket=BUCKET, Key="range", Range=text)
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206 and body_of(got) == expected, text
        assert got["ContentRange"].endswith(f"/{len(PATTERN)}"), got["ContentRange"]
    refused(416, s3.get_object, Bucket=BUCKET, Key="range", Range="bytes=99999-", text="InvalidRange")


def check_conditional_reads(sim):
    """Conditional reads: 304 and 412"""
    s3 = ready(sim, BUCKET)
    etag = s3.put_object(Bucket=BUCKET, Key="cond", Body=b"1")["ETag"]
    assert body_of(s3.get_object(Bucket=BUCKET, Key="cond", IfMatch=etag)) == b"1"
    refused(412, s3.get_object, Bucket=BUCKET, Key="cond", IfMatch='"other"')
    refused(304, s3.get_object, Bucket=BUCKET, Key="cond", IfNoneMatch=etag)
    refused(304, s3.head_object, Bucket=BUCKET, Key="cond", IfNoneMatch=etag)
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    refused(412, s3.get_object, Bucket=BUCKET, Key="cond", IfUnmodifiedSince=later - datetime.timedelta(days=9))
    refused(304, s3.get_object, Bucket=BUCKET, Key="cond", IfNoneMatch="*")


def check_conditional_writes(sim):
    """Conditional writes: only once, only over the expected one, on put, copy and complete"""
    s3 = ready(sim, BUCKET)
    etag = s3.put_object(Bucket=BUCKET, Key="once", Body=b"1", IfNoneMatch="*")["ETag"]
    refused(412, s3.put_object, Bucket=BUCKET, Key="once", Body=b"2", IfNoneMatch="*", text="PreconditionFailed")
    s3.put_object(Bucket=BUCKET, Key="once", Body=b"2", IfMatch=etag)
    refused(412, s3.put_object, Bucket=BUCKET, Key="once", Body=b"3", IfMatch=etag)
    refused(404, s3.put_object, Bucket=BUCKET, Key="absent", Body=b"3", IfMatch=etag)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="once")["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key="once", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    ask = {"Bucket": BUCKET, "Key": "once", "UploadId": upload, "MultipartUpload": parts}
    refused(412, s3.complete_multipart_upload, IfNoneMatch="*", **ask)
    s3.abort_multipart_upload(Bucket=BUCKET, Key="once", UploadId=upload)
    source = {"Bucket": BUCKET, "Key": "once"}
    refused(412, s3.copy_object, Bucket=BUCKET, Key="once2", CopySource=source, CopySourceIfMatch='"other"')
    now = s3.head_object(Bucket=BUCKET, Key="once")["ETag"]
    refused(412, s3.delete_object, Bucket=BUCKET, Key="once", IfMatch=etag)
    s3.delete_object(Bucket=BUCKET, Key="once", IfMatch=now)


def check_copy(sim):
    """Copies keep or replace metadata, across buckets too"""
    s3 = ready(sim, BUCKET)
    ready(sim, "objects-other")
    s3.put_object(Bucket=BUCKET, Key="from ü +%", Body=PATTERN, Metadata={"a": "1"}, ContentType="t/1")
    source = {"Bucket": BUCKET, "Key": "from ü +%"}
    made = s3.copy_object(Bucket="objects-other", Key="to", CopySource=source)
    assert made["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(PATTERN).hexdigest()}"'
    head = s3.head_object(Bucket="objects-other", Key="to")
    assert head["Metadata"] == {"a": "1"} and head["ContentType"] == "t/1", head
    s3.copy_object(
        Bucket=BUCKET, Key="to2", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"}, ContentType="t/2"
    )
    head = s3.head_object(Bucket=BUCKET, Key="to2")
    assert head["Metadata"] == {"b": "2"} and head["ContentType"] == "t/2", head
    refused(400, s3.copy_object, Bucket=BUCKET, Key="to2", CopySource={"Bucket": BUCKET, "Key": "to2"}, text="InvalidRequest")
    refused(404, s3.copy_object, Bucket=BUCKET, Key="x", CopySource={"Bucket": BUCKET, "Key": "none"}, text="NoSuchKey")
    assert body_of(s3.get_object(Bucket="objects-other", Key="to")) == PATTERN


def check_rename(sim):
    """The copy disposition `replace` renames: data and metadata move"""
    s3 = ready(sim, BUCKET)
    s3.put_object(Bucket=BUCKET, Key="old name", Body=PATTERN, Metadata={"kept": "yes"})

    def add(request, **_):
        request.headers["x-amz-copy-disposition"] = "replace"

    s3.meta.events.register("before-sign.s3.CopyObject", add)
    s3.copy_object(Bucket=BUCKET, Key="new name", CopySource={"Bucket": BUCKET, "Key": "old name"})
    refused(404, s3.head_object, Bucket=BUCKET, Key="old name")
    got = s3.get_object(Bucket=BUCKET, Key="new name")
    assert body_of(got) == PATTERN and got["Metadata"] == {"kept": "yes"}
    source = {"Bucket": BUCKET, "Key": "new name"}
    refused(400, s3.copy_object, Bucket=BUCKET, Key="n2", CopySource=source, MetadataDirective="REPLACE", Metadata={"x": "y"})
    assert s3.head_object(Bucket=BUCKET, Key="new name")


def check_names(sim):
    """Keys with every kind of character are written, listed and read back"""
    s3 = ready(sim, "names")
    names = [
        "plain", "with space", "plus+sign", "per%cent", "per%2Fcent", "ü/ö/ä", "日本語", "a=b&c=d", "q?mark#hash", "tilde~'()*!",
        "a//b", "trailing/", "<xml>&\"", "semi;colon:", "back\\slash", "😀", "@$,", "[brackets]{}|^`", "x" * 1000, ".hidden", "new\tline",
    ]
    for name in names:
        s3.put_object(Bucket="names", Key=name, Body=name.encode())
    assert keys_of(s3.list_objects_v2(Bucket="names")) == sorted(names, key=lambda n: n.encode())
    assert keys_of(s3.list_objects(Bucket="names")) == sorted(names, key=lambda n: n.encode())
    for name in names:
        assert body_of(s3.get_object(Bucket="names", Key=name)) == name.encode(), name
        s3.copy_object(Bucket="names", Key="copy", CopySource={"Bucket": "names", "Key": name})
    gone = s3.delete_objects(Bucket="names", Delete={"Objects": [{"Key": n} for n in [*names, "copy"]]})
    assert len(gone["Deleted"]) == len(names) + 1 and "Errors" not in gone, gone
    assert keys_of(s3.list_objects_v2(Bucket="names")) == []
    refused(400, s3.put_object, Bucket="names", Key="x" * 1025, Body=b"", text="KeyTooLong")


def check_listing(sim):
    """Listings page through prefixes, delimiters and start points, version 1 and 2"""
    s3 = ready(sim, "listing")
    names = [f"d{d}/f{f:02}" for d in range(4) for f in range(25)] + ["top1", "top2"]
    for name in names:
        s3.put_object(Bucket="listing", Key=name, Body=b"x")
    for method in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(method).paginate(Bucket="listing", PaginationConfig={"PageSize": 7})
        assert [k for p in pages for k in keys_of(p)] == names, method
        pages = list(s3.get_paginator(method).paginate(Bucket="listing", Delimiter="/", PaginationConfig={"PageSize": 2}))
        assert [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])] == ["d0/", "d1/", "d2/", "d3/"]
        assert [k for p in pages for k in keys_of(p)] == ["top1", "top2"]
        pages = s3.get_paginator(method).paginate(Bucket="listing", Prefix="d2/f1", PaginationConfig={"PageSize": 3})
        assert [k for p in pages for k in keys_of(p)] == [f"d2/f1{i}" for i in range(10)]
    after = s3.list_objects_v2(Bucket="listing", StartAfter="d3/f23", FetchOwner=True)
    assert keys_of(after) == ["d3/f24", "top1", "top2"] and after["KeyCount"] == 3
    assert after["Contents"][0]["Owner"]["ID"], after["Contents"][0]
    assert s3.list_objects_v2(Bucket="listing", MaxKeys=0)["KeyCount"] == 0
    found = s3.list_objects(Bucket="listing", Marker="top1")
    assert keys_of(found) == ["top2"] and found["IsTruncated"] is False
    refused(404, s3.list_objects_v2, Bucket="no-such-bucket", text="NoSuchBucket")


def check_headers(sim):
    """System metadata is kept and can be overridden in an answer"""
    s3 = ready(sim, BUCKET)
    expires = datetime.datetime(2031, 5, 6, 7, 8, 9, tzinfo=datetime.timezone.utc)
    s3.put_object(
        Bucket=BUCKET, Key="heads", Body=b"x", CacheControl="no-cache", ContentDisposition='attachment; filename="a"',
        ContentEncoding="gzip", ContentLanguage="de", Expires=expires,
    )
    head = s3.head_object(Bucket=BUCKET, Key="heads")
    assert head["CacheControl"] == "no-cache" and head["ContentLanguage"] == "de" and head["ContentEncoding"] == "gzip", head
    assert head["ContentDisposition"] == 'attachment; filename="a"' and head["Expires"] == expires
    got = s3.get_object(Bucket=BUCKET, Key="heads", ResponseContentType="text/over", ResponseCacheControl="private")
    assert got["ContentType"] == "text/over" and got["CacheControl"] == "private"


def check_delete_many(sim):
    """DeleteObjects: a thousand at once, quiet mode, what is not there too"""
    s3 = ready(sim, "many")
    for number in range(30):
        s3.put_object(Bucket="many", Key=f"{number}", Body=b"x")
    ask = {"Objects": [{"Key": f"{n}"} for n in range(1000)], "Quiet": True}
    answer = s3.delete_objects(Bucket="many", Delete=ask)
    assert "Deleted" not in answer and "Errors" not in answer, answer
    assert keys_of(s3.list_objects_v2(Bucket="many")) == []
    refused(400, s3.delete_objects, Bucket="many", Delete={"Objects": [{"Key": f"{n}"} for n in range(1001)]})


def check_quota(sim):
    """Beyond the hard limit of a quota nothing is written"""
    s3 = ready(sim, "limited")
    quota = sim.api("POST", "quotas/", {"name": "limited", "path": "/limited", "hard_limit": 100_000})
    s3.put_object(Bucket="limited", Key="fits", Body=b"x" * 60_000)
    refused(403, s3.put_object, Bucket="limited", Key="too much", Body=b"x" * 60_000)
    refused(404, s3.head_object, Bucket="limited", Key="too much")
    shown = sim.api("GET", f"quotas/{quota['id']}/")
    assert shown["used_capacity"] == 60_000, shown
    s3.delete_object(Bucket="limited", Key="fits")
    s3.put_object(Bucket="limited", Key="fits", Body=b"x" * 90_000)
