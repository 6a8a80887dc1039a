"""What clients do over S3, and the exact difference that it makes to the numbers of VMS."""

import re
import time

from s3 import client, owner, ready
from sim import refused
from vms_vastpy import client as vastpy


def usage(sim, bucket):
    """Every number that VMS has for a bucket's bytes, by where it was read."""
    vms = vastpy(sim)
    view = vms.views.get(bucket=bucket)[0]
    (row,) = [r for r in rows(vms, "view", "Capacity,logical_space_in_use") if r["object_id"] == view["id"]] or [{}]
    text = vms.prometheusmetrics.views.get().decode()
    found = re.search(rf'^vast_view_logical_capacity\{{[^}}]*path="/{bucket}"[^}}]*\}} (\S+)', text, re.M)
    return {
        "view": view["logical_capacity"],
        "prometheus": float(found.group(1)) if found else None,
        "capacity": vms.capacity.get(path=f"/{bucket}", tenant_id=1)["root_data"][2],
    }


def rows(vms, kind, *props):
    found = vms.monitors.ad_hoc_query.get(object_type=kind, time_frame="5m", prop_list=list(props))
    return [dict(zip(found["prop_list"], row)) for row in found["data"]]


def check_capacity(sim):
    """Views, metrics and capacity grow and shrink by exactly what is written and deleted"""
    s3, vms = ready(sim, "numbers"), vastpy(sim)
    before = vms.clusters.get()[0]["logical_space_in_use"]
    assert usage(sim, "numbers") == {"view": 0, "prometheus": 0, "capacity": 0}, usage(sim, "numbers")
    s3.put_object(Bucket="numbers", Key="a", Body=b"a" * 100_000)
    s3.put_object(Bucket="numbers", Key="b/c", Body=b"b" * 23_456)
    expected = 123_456
    assert usage(sim, "numbers") == {"view": expected, "prometheus": expected, "capacity": expected}, usage(sim, "numbers")
    assert vms.clusters.get()[0]["logical_space_in_use"] - before == expected
    (row,) = rows(vms, "cluster", "Capacity,logical_space_in_use")[-1:]
    assert row["Capacity,logical_space_in_use"] - before == expected, row
    s3.put_object(Bucket="numbers", Key="a", Body=b"a")
    s3.delete_object(Bucket="numbers", Key="b/c")
    assert usage(sim, "numbers")["view"] == 1
    assert vms.clusters.get()[0]["logical_space_in_use"] - before == 1


def check_quota_states(sim):
    """A quota goes from OK over soft and hard limits to grace expired, and back"""
    s3, vms = ready(sim, "stated"), vastpy(sim)
    quota = vms.quotas.post(name="stated", path="/stated", soft_limit=1000, hard_limit=3000, grace_period="1h")

    def now():
        return vms.quotas[quota["id"]].get()

    assert now()["state"] == "OK" and now()["used_capacity"] == 0
    s3.put_object(Bucket="stated", Key="a", Body=b"x" * 1500)
    shown = now()
    assert shown["state"] == "SOFT_EXCEEDED" and shown["used_capacity"] == 1500 and shown["percent_capacity"] == 50, shown
    assert shown["used_inodes"] >= 1, shown["used_inodes"]
    refused(403, s3.put_object, Bucket="stated", Key="b", Body=b"x" * 1501)
    s3.put_object(Bucket="stated", Key="b", Body=b"x" * 1500)
    assert now()["state"] == "HARD_EXCEEDED" and now()["percent_capacity"] == 100, now()["state"]
    refused(403, s3.put_object, Bucket="stated", Key="c", Body=b"x")
    s3.delete_object(Bucket="stated", Key="b")
    assert now()["state"] == "SOFT_EXCEEDED"
    sim.advance(600)
    s3.delete_object(Bucket="stated", Key="a")
    assert now()["state"] == "OK" and now()["used_capacity"] == 0
    names = [e["event_name"] for e in vms.events.get(page_size=1000)["results"]]
    assert any("QUOTA" in n.upper() for n in names), names
    vms.quotas[quota["id"]].delete()


def check_requests(sim):
    """Requests are counted by VIP and in the cluster's S3 metrics"""
    ready(sim, "counted")
    vms, s3 = vastpy(sim), client(sim, owner(sim), sim.s3[2])

    def total(name):
        text = vms.prometheusmetrics.all.get().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}(\{{| )", line))

    begun = total("vast_cluster_metrics_S3Metrics_initiate_mpu_count")
    for number in range(3):
        upload = s3.create_multipart_upload(Bucket="counted", Key=f"m{number}")["UploadId"]
        s3.abort_multipart_upload(Bucket="counted", Key=f"m{number}", UploadId=upload)
    assert total("vast_cluster_metrics_S3Metrics_initiate_mpu_count") - begun == 3


def check_indestructible(sim):
    """An indestructible snapshot is deleted only after the lock is opened with a token"""
    vms = vastpy(sim)
    ready(sim, "fixed")
    snap = vms.snapshots.post(name="fixed", path="/fixed/", tenant_id=1, indestructible=True, expiration_time="2099-01-01T00:00:00Z")
    assert snap["indestructible"] is True, snap
    answer = sim.call("DELETE", f"/api/snapshots/{snap['id']}/", headers=sim.basic)
    assert 400 <= answer.status < 500, answer
    lock = vms.indestructibility.get()[0]
    assert lock["is_locked"] is True, lock
    token = vms.indestructibility[lock["id"]].generate_token.patch(indestructibility_passwd="default")["token"]
    refused(400, vms.indestructibility[lock["id"]].unlock.patch, challenge_token="wrong")
    vms.indestructibility[lock["id"]].unlock.patch(challenge_token=token)
    assert vms.indestructibility.get()[0]["is_locked"] is False
    vms.snapshots[snap["id"]].delete()


def check_qos_limits(sim):
    """A QoS policy limits: the same write takes longer by the clock that it allows"""
    s3, vms = ready(sim, "paced"), vastpy(sim)
    body = b"q" * (6 << 20)
    qos = vms.qospolicies.post(name="paced", mode="STATIC", static_limits={"max_writes_bw_mbps": 4})
    view = vms.views.get(bucket="paced")[0]
    vms.views[view["id"]].patch(qos_policy_id=qos["id"])
    start = time.monotonic()
    s3.put_object(Bucket="paced", Key="one", Body=body)
    s3.put_object(Bucket="paced", Key="two", Body=body)
    limited = time.monotonic() - start
    vms.views[view["id"]].patch(qos_policy_id=None)
    assert limited >= 2 * len(body) / 4e6, f"12 MiB at 4 MB/s took {limited:.2f} s"


def check_qos_of_users(sim):
    """A QoS policy of users limits those whom it names, whatever the view; others go on as before"""
    vms, fast = vastpy(sim), ready(sim, "shared")
    slow = client(sim, owner(sim, "slow"))
    sim.api("PATCH", f"users/{vms.users.get(name='slow')[0]['id']}/", {"s3_superuser": True})
    named = [{"name": "slow", "fqdn": "", "identifier_type": "username", "identifier_value": "slow"}]
    limits = {"max_writes_bw_mbps": 2}
    qos = vms.qospolicies.post(name="of users", policy_type="USER", attached_users=named, static_limits=limits)
    assert vms.users.query.get(username="slow")["user_qos_policies"] == [{"id": qos["id"], "name": "of users"}]
    body = b"u" * (3 << 20)
    waited = re.compile(r'^vast_user_metrics_UserMetrics_qos_wait_for_budget_time_sum\{[^}]*name="(\w+)"[^}]*\} (\S+)', re.M)

    def waits():
        found = waited.findall(vms.prometheusmetrics.users.get().decode())
        return {name: float(micros) for name, micros in found}

    before = waits()
    start = time.monotonic()
    slow.put_object(Bucket="shared", Key="slow", Body=body)
    assert time.monotonic() - start >= len(body) / 2e6
    fast.put_object(Bucket="shared", Key="fast", Body=body)
    after = waits()
    # As long as the bytes take, less what rounding each wait to microseconds loses.
    assert 0 <= len(body) / 2 - (after["slow"] - before["slow"]) < 1000, (before, after)
    assert after["owner"] == before["owner"], (before, after)
    vms.qospolicies[qos["id"]].delete()


def check_clone_vocabularies(sim):
    """A clone is Syncing, then Completed, as drivers wait for; its snapshot shows in .snapshot/"""
    s3, vms = ready(sim, "cloned"), vastpy(sim)
    s3.put_object(Bucket="cloned", Key="k", Body=b"1")
    snapshot = vms.snapshots.post(name="kept", path="/cloned/")
    listed = s3.list_objects_v2(Bucket="cloned", Prefix=".snapshot/", Delimiter="/")
    assert [p["Prefix"] for p in listed["CommonPrefixes"]] == [".snapshot/kept/"], listed
    assert s3.get_object(Bucket="cloned", Key=".snapshot/kept/k")["Body"].read() == b"1"
    stream = vms.snapshots[snapshot["id"]].clone.post(name="vocabulary", loanee_root_path="/vocabulary", enabled=True)
    assert stream["state"] in ("Initializing", "Syncing"), stream
    assert sim.finished(stream["async_task"])["state"] == "COMPLETED"
    (found,) = vms.globalsnapstreams.get(loanee_root_path__startswith="/vocabulary")
    assert (found["state"], found["status"]["state"]) == ("Completed", "FINISHED"), found


def check_view_on_data(sim):
    """A view with data goes only by force; a new view on its path shows what is there"""
    s3, vms = ready(sim, "kept"), vastpy(sim)
    s3.put_object(Bucket="kept", Key="k", Body=b"still here")
    view = vms.views.get(bucket="kept")[0]
    answer = sim.call("DELETE", f"/api/views/{view['id']}/", headers=sim.basic)
    assert answer.status in (400, 409), answer
    answer = sim.call("DELETE", f"/api/views/{view['id']}/?force=true", headers=sim.basic)
    assert answer.status == 204, answer
    refused(404, s3.get_object, Bucket="kept", Key="k")
    sim.bucket("kept", "owner")
    assert s3.get_object(Bucket="kept", Key="k")["Body"].read() == b"still here"


def check_vips_move(sim):
    """A node that is disabled hands its VIPs on; they answer as before"""
    s3, vms = ready(sim, "moving"), vastpy(sim)
    s3.put_object(Bucket="moving", Key="k", Body=b"1")
    nodes = vms.cnodes.get()
    assert len(nodes) >= 2, "one node is no cluster"
    first = vms.vips.get(cnode__id=nodes[0]["id"])
    assert first, "the first node has no VIP"
    vms.cnodes[nodes[0]["id"]].patch(enabled=False)
    sim.advance(60)
    assert vms.cnodes[nodes[0]["id"]].get()["state"] != "ACTIVE"
    assert vms.vips.get(cnode__id=nodes[0]["id"]) == []
    assert {v["ip"] for v in first} <= {v["ip"] for v in vms.vips.get()}
    for place in sim.s3:
        assert client(sim, owner(sim), place).get_object(Bucket="moving", Key="k")["Body"].read() == b"1"
    vms.cnodes[nodes[0]["id"]].patch(enabled=True)
    sim.advance(60)
    assert vms.cnodes[nodes[0]["id"]].get()["state"] == "ACTIVE"
