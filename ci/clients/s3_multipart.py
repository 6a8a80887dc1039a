"""boto3: multipart uploads by hand and by its transfer manager."""

import hashlib
import io

from boto3.s3.transfer import TransferConfig
from s3 import body_of, client, owner, ready
from sim import refused

BUCKET = "multi"
MIB = 1 << 20
BLOCK = bytes(i * 7 % 251 for i in range(MIB))


def begin(s3, key, **named):
    return s3.create_multipart_upload(Bucket=BUCKET, Key=key, **named)["UploadId"]


def check_by_hand(sim):
    """Parts in any order make one object, with AWS's ETag"""
    s3 = ready(sim, BUCKET)
    bodies = {1: BLOCK * 5, 2: BLOCK * 6, 3: b"tail"}
    upload = begin(s3, "o", Metadata={"m": "1"}, ContentType="a/b")
    etags = {}
    for number in (3, 1, 2):
        answer = s3.upload_part(Bucket=BUCKET, Key="o", UploadId=upload, PartNumber=number, Body=bodies[number])
        etags[number] = answer["ETag"]
        assert answer["ETag"] == f'"{hashlib.md5(bodies[number]).hexdigest()}"'
    listed = s3.list_parts(Bucket=BUCKET, Key="o", UploadId=upload)
    assert [(p["PartNumber"], p["Size"]) for p in listed["Parts"]] == [(n, len(b)) for n, b in sorted(bodies.items())]
    page = s3.list_parts(Bucket=BUCKET, Key="o", UploadId=upload, MaxParts=2)
    assert page["IsTruncated"] and page["NextPartNumberMarker"] == 2, page
    parts = {"Parts": [{"PartNumber": n, "ETag": etags[n]} for n in sorted(etags)]}
    done = s3.complete_multipart_upload(Bucket=BUCKET, Key="o", UploadId=upload, MultipartUpload=parts)
    whole = hashlib.md5(b"".join(bytes.fromhex(etags[n].strip('"')) for n in sorted(etags))).hexdigest()
    assert done["ETag"] == f'"{whole}-3"', done
    assert done["Location"] == f"{s3.meta.endpoint_url}/{BUCKET}/o", done
    got = s3.get_object(Bucket=BUCKET, Key="o")
    assert body_of(got) == b"".join(bodies[n] for n in sorted(bodies)) and got["Metadata"] == {"m": "1"}
    assert got["ContentType"] == "a/b"
    part = s3.get_object(Bucket=BUCKET, Key="o", PartNumber=2)
    assert part["PartsCount"] == 3 and body_of(part) == bodies[2]
    refused(404, s3.list_parts, Bucket=BUCKET, Key="o", UploadId=upload, text="NoSuchUpload")


def check_refusals(sim):
    """Small, missing, swapped and unknown parts are refused as AWS does"""
    s3 = ready(sim, BUCKET)
    upload = begin(s3, "r")
    ask = {"Bucket": BUCKET, "Key": "r", "UploadId": upload}
    one = s3.upload_part(PartNumber=1, Body=b"small", **ask)["ETag"]
    two = s3.upload_part(PartNumber=2, Body=b"last", **ask)["ETag"]

    def complete(*parts):
        listed = [{"PartNumber": n, "ETag": e} for n, e in parts]
        return s3.complete_multipart_upload(MultipartUpload={"Parts": listed}, **ask)

    refused(400, complete, (1, one), (2, two), text="EntityTooSmall")
    refused(400, complete, (2, two), (1, one), text="InvalidPartOrder")
    refused(400, complete, (1, two), text="InvalidPart")
    refused(400, complete, (3, one), text="InvalidPart")
    refused(400, s3.upload_part, PartNumber=10001, Body=b"", **ask)
    s3.abort_multipart_upload(**ask)
    refused(404, s3.upload_part, PartNumber=1, Body=b"x", **ask, text="NoSuchUpload")
    refused(404, s3.head_object, Bucket=BUCKET, Key="r")


def check_list_uploads(sim):
    """Open uploads are listed with prefixes, delimiters and pages"""
    s3 = ready(sim, "uploads")
    made = {}
    for key in ("a/1", "a/2", "b/1", "top", "top"):
        made.setdefault(key, []).append(s3.create_multipart_upload(Bucket="uploads", Key=key)["UploadId"])
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket="uploads", PaginationConfig={"PageSize": 2})
    found = [(u["Key"], u["UploadId"]) for p in pages for u in p.get("Uploads", [])]
    assert sorted(found) == sorted((k, u) for k, us in made.items() for u in us), found
    page = s3.list_multipart_uploads(Bucket="uploads", Delimiter="/")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["a/", "b/"] and len(page["Uploads"]) == 2, page
    page = s3.list_multipart_uploads(Bucket="uploads", Prefix="a/")
    assert [u["Key"] for u in page["Uploads"]] == ["a/1", "a/2"]
    assert "Contents" not in s3.list_objects_v2(Bucket="uploads")
    for key, uploads in made.items():
        for upload in uploads:
            s3.abort_multipart_upload(Bucket="uploads", Key=key, UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="uploads")


def check_part_copy(sim):
    """Parts can be copied from ranges of objects"""
    s3 = ready(sim, BUCKET)
    s3.put_object(Bucket=BUCKET, Key="source", Body=BLOCK * 6)
    upload = begin(s3, "joined")
    ask = {"Bucket": BUCKET, "Key": "joined", "UploadId": upload, "CopySource": {"Bucket": BUCKET, "Key": "source"}}
    first = s3.upload_part_copy(PartNumber=1, **ask)["CopyPartResult"]["ETag"]
    second = s3.upload_part_copy(PartNumber=2, CopySourceRange="bytes=10-19", **ask)["CopyPartResult"]["ETag"]
    refused((400, 416), s3.upload_part_copy, PartNumber=3, CopySourceRange="bytes=0-99999999", **ask)
    parts = {"Parts": [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]}
    s3.complete_multipart_upload(Bucket=BUCKET, Key="joined", UploadId=upload, MultipartUpload=parts)
    assert body_of(s3.get_object(Bucket=BUCKET, Key="joined")) == BLOCK * 6 + BLOCK[10:20]


def check_transfer_manager(sim):
    """upload_fileobj, download_fileobj and copy cut and join large objects, over every VIP"""
    ready(sim, BUCKET)
    data = BLOCK * 20 + b"odd"
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=6 * MIB, max_concurrency=8)
    clients = [client(sim, owner(sim), u) for u in sim.s3]
    for number, s3 in enumerate(clients):
        s3.upload_fileobj(io.BytesIO(data), BUCKET, f"big{number}", Config=config, ExtraArgs={"Metadata": {"n": str(number)}})
        sink = io.BytesIO()
        clients[number - 1].download_fileobj(BUCKET, f"big{number}", sink, Config=config)
        assert sink.getvalue() == data
        head = s3.head_object(Bucket=BUCKET, Key=f"big{number}")
        assert head["ETag"].endswith('-4"') and head["Metadata"] == {"n": str(number)}, head
    clients[0].copy({"Bucket": BUCKET, "Key": "big1"}, BUCKET, "big-copy", Config=config)
    assert clients[1].head_object(Bucket=BUCKET, Key="big-copy")["ContentLength"] == len(data)


def check_checksums(sim):
    """Multipart checksums: full object and composite, as asked"""
    s3 = ready(sim, BUCKET)
    for algorithm, kind in (("CRC32", "FULL_OBJECT"), ("SHA256", "COMPOSITE"), ("CRC32", "COMPOSITE")):
        upload = begin(s3, "sums", ChecksumAlgorithm=algorithm, ChecksumType=kind)
        ask = {"Bucket": BUCKET, "Key": "sums", "UploadId": upload}
        parts = []
        for number, body in ((1, BLOCK * 5), (2, b"end")):
            answer = s3.upload_part(PartNumber=number, Body=body, ChecksumAlgorithm=algorithm, **ask)
            field = f"Checksum{algorithm}"
            parts.append({"PartNumber": number, "ETag": answer["ETag"], field: answer[field]})
        done = s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **ask)
        assert done["ChecksumType"] == kind, (algorithm, kind, done)
        assert done[field].endswith("-2") == (kind == "COMPOSITE"), done
        head = s3.head_object(Bucket=BUCKET, Key="sums", ChecksumMode="ENABLED")
        assert head[field] == done[field], head
        found = s3.get_object_attributes(Bucket=BUCKET, Key="sums", ObjectAttributes=["ObjectParts", "Checksum"])
        assert found["ObjectParts"]["TotalPartsCount"] == 2, found


def check_old_object_stays(sim):
    """An aborted or open upload leaves the object that was there"""
    s3 = ready(sim, BUCKET)
    s3.put_object(Bucket=BUCKET, Key="stays", Body=b"old")
    upload = begin(s3, "stays")
    s3.upload_part(Bucket=BUCKET, Key="stays", UploadId=upload, PartNumber=1, Body=b"new")
    assert body_of(s3.get_object(Bucket=BUCKET, Key="stays")) == b"old"
    s3.abort_multipart_upload(Bucket=BUCKET, Key="stays", UploadId=upload)
    assert body_of(s3.get_object(Bucket=BUCKET, Key="stays")) == b"old"
