"""boto3 clients of a simulated cluster, and a bucket to begin with."""

import boto3
from botocore.config import Config


def client(sim, keys, endpoint=None, **named):
    """A client with boto3's own defaults, except where told."""
    config = named.pop("config", {})
    return boto3.client(
        "s3",
        endpoint_url=endpoint or sim.s3[0],
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        region_name=named.pop("region", "us-east-1"),
        config=Config(**config),
        **named,
    )


def owner(sim, name="owner"):
    """The key pair of a user who may make buckets; made on first use."""
    kept = sim.kept.__dict__
    if name not in kept:
        kept[name] = sim.user(name, allow_create_bucket=True, allow_delete_bucket=True)
    return kept[name][1:]


def ready(sim, bucket, **fields):
    """A client of the owner and a bucket of that name, made on first use."""
    keys = owner(sim)
    made = sim.kept.__dict__.setdefault("buckets", {})
    if bucket not in made:
        made[bucket] = sim.bucket(bucket, "owner", **fields)
    return client(sim, keys)


def body_of(answer):
    return answer["Body"].read()


def keys_of(page):
    return [o["Key"] for o in page.get("Contents", [])]
