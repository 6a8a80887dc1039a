"""The MinIO client for Python: another library with its own signer and parser."""

import io
from urllib.parse import urlsplit

import minio
import urllib3
from minio.commonconfig import ComposeSource, CopySource, Tags
from minio.deleteobjects import DeleteObject
from s3 import owner, ready

BUCKET = "minio"


def client(sim, tls=False):
    place = urlsplit((sim.s3_tls if tls else sim.s3)[0])
    keys = owner(sim)
    pool = urllib3.PoolManager(ca_certs=sim.ca, retries=False)
    return minio.Minio(endpoint=place.netloc, access_key=keys[0], secret_key=keys[1], secure=tls, http_client=pool)


def check_objects(sim):
    """Put, get, stat, list, copy, delete, over HTTP and HTTPS"""
    ready(sim, BUCKET)
    for tls in (False, True):
        mc = client(sim, tls)
        assert mc.bucket_exists(bucket_name=BUCKET)
        data = bytes(range(256)) * 50
        mc.put_object(bucket_name=BUCKET, object_name="dir/o ü", data=io.BytesIO(data), length=len(data), metadata={"a": "b"})
        answer = mc.get_object(bucket_name=BUCKET, object_name="dir/o ü")
        assert answer.read() == data
        answer.close()
        stat = mc.stat_object(bucket_name=BUCKET, object_name="dir/o ü")
        assert stat.size == len(data) and stat.metadata["x-amz-meta-a"] == "b"
        mc.copy_object(bucket_name=BUCKET, object_name="copy", source=CopySource(bucket_name=BUCKET, object_name="dir/o ü"))
        names = [o.object_name for o in mc.list_objects(bucket_name=BUCKET, recursive=True)]
        assert names == ["copy", "dir/o ü"], names
        assert [o.object_name for o in mc.list_objects(bucket_name=BUCKET)] == ["copy", "dir/"]
        errors = list(mc.remove_objects(bucket_name=BUCKET, delete_object_list=[DeleteObject(n) for n in names]))
        assert errors == []


def check_large(sim):
    """A stream of unknown length goes in parts, and parts are composed"""
    ready(sim, BUCKET)
    mc = client(sim)
    data = b"m" * (11 << 20)
    mc.put_object(bucket_name=BUCKET, object_name="large", data=io.BytesIO(data), length=-1, part_size=5 << 20)
    assert mc.stat_object(bucket_name=BUCKET, object_name="large").size == len(data)
    source = ComposeSource(bucket_name=BUCKET, object_name="large")
    mc.compose_object(bucket_name=BUCKET, object_name="composed", sources=[source, source])
    assert mc.stat_object(bucket_name=BUCKET, object_name="composed").size == 2 * len(data)


def check_tags_and_presign(sim):
    """Tags, and a presigned URL"""
    ready(sim, BUCKET)
    mc = client(sim)
    mc.put_object(bucket_name=BUCKET, object_name="t", data=io.BytesIO(b"t"), length=1)
    tags = Tags.new_object_tags()
    tags["k"] = "v"
    mc.set_object_tags(bucket_name=BUCKET, object_name="t", tags=tags)
    assert dict(mc.get_object_tags(bucket_name=BUCKET, object_name="t")) == {"k": "v"}
    url = mc.presigned_get_object(bucket_name=BUCKET, object_name="t")
    assert sim.http.request("GET", url).data == b"t"
