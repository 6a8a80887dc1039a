"""vastpy: the whole life of a cluster's objects through its Python API."""

import json

import urllib3
from sim import PASSWORD, USER, refused
from vastpy import RESTFailure, VASTClient


def client(sim, **named):
    login = named or {"user": USER, "password": PASSWORD}
    return VASTClient(address=sim.address, cert_file=sim.ca, cert_server_name="localhost", **login)


def check_probe(sim):
    """Clusters and versions tell what every client asks first"""
    vms = client(sim)
    (cluster,) = vms.clusters.get()
    assert cluster["state"] == "ONLINE" and cluster["id"] == 1, cluster
    numbers = tuple(map(int, cluster["sw_version"].split(".")))
    assert (5, 4, 0) <= numbers < (5, 5, 0), numbers
    versions = vms.versions.get(status="success")
    assert versions[0]["sys_version"].startswith("5.4."), versions
    assert vms.vms.get()[0]["min_tls_version"] == "1.2"
    assert vms.health.get()["status"] == "ok"


def check_seed(sim):
    """A new cluster has a default tenant, policies, a VIP pool with VIPs, nodes"""
    vms = client(sim)
    assert [(t["id"], t["name"]) for t in vms.tenants.get(name="default")] == [(1, "default")]
    names = {p["name"]: p["id"] for p in vms.viewpolicies.get()}
    assert names["default"] == 1 and "s3_default_policy" in names, names
    pools = vms.vippools.get()
    vips = vms.vips.get(vippool__name=pools[0]["name"])
    assert len(vips) == len(sim.s3), vips
    assert {v["ip"] for v in vips} == {u.split("//")[1].split(":")[0] for u in sim.s3}
    assert len(vms.cnodes.get()) >= 1 and len(vms.dnodes.get()) >= 1
    assert len(vms.vips.get(cnode__id=vms.cnodes.get()[0]["id"])) >= 1


def check_tenants(sim):
    """Tenants: create, filter, change, delete as a task"""
    vms = client(sim)
    made = vms.tenants.post(name="blue", client_ip_ranges=[["10.0.0.1", "10.0.0.9"]])
    assert made["client_ip_ranges"] == [["10.0.0.1", "10.0.0.9"]] and made["guid"], made
    assert [t["name"] for t in vms.tenants.get(name__startswith="bl")] == ["blue"]
    vms.tenants[made["id"]].patch(client_ip_ranges=[])
    assert vms.tenants[made["id"]].get()["client_ip_ranges"] == []
    error = refused(400, vms.tenants.post, name="blue")
    assert b"name" in error.data
    answer = vms.tenants[made["id"]].delete()
    if answer:
        task = sim.finished(answer["async_task"])
        assert task["state"] == "COMPLETED", task
    assert vms.tenants.get(name="blue") == []
    refused(404, vms.tenants[made["id"]].get)


def check_policies(sim):
    """View policies: create, change, refused while in use"""
    vms = client(sim)
    policy = vms.viewpolicies.post(name="p1", flavor="S3_NATIVE", s3_read_write=["*"])
    assert policy["flavor"] == "S3_NATIVE" and policy["count_views"] == 0, policy
    vms.viewpolicies[policy["id"]].patch(s3_read_only=["10.0.0.0/8"])
    assert vms.viewpolicies[policy["id"]].get()["s3_read_only"] == ["10.0.0.0/8"]
    view = vms.views.post(path="/p1", policy_id=policy["id"], create_dir=True)
    assert view["policy"] == "p1" and view["policy_id"] == policy["id"]
    assert vms.viewpolicies[policy["id"]].get()["count_views"] == 1
    error = raised(vms.viewpolicies[policy["id"]].delete)
    assert error.status in (400, 409), error
    vms.views[view["id"]].delete()
    vms.viewpolicies[policy["id"]].delete()
    assert vms.viewpolicies.get(name="p1") == []


def raised(call, **named):
    try:
        call(**named)
    except RESTFailure as error:
        return error
    raise AssertionError("succeeded")


def check_views(sim):
    """Views: create, relations in filters, change, delete"""
    vms = client(sim)
    user = vms.users.post(name="viewer", uid=5001)
    view = vms.views.post(
        path="/data/one",
        policy_id=sim.policy(),
        protocols=["S3", "NFS"],
        bucket="data-one",
        bucket_owner="viewer",
        create_dir=True,
    )
    for field in ("id", "guid", "url", "title", "tenant_name"):
        assert view[field], f"{field} is empty: {view}"
    assert view["tenant_name"] == "default" and view["bucket_logging"] is None and view["share_acl"] is None
    assert [v["id"] for v in vms.views.get(policy__name="s3_default_policy", path__endswith="/one")] == [view["id"]]
    assert [v["id"] for v in vms.views.get(bucket__regex="^data-o.e$")] == [view["id"]]
    assert vms.views.get(bucket="data-one", logical_capacity__gt=10) == []
    vms.views[view["id"]].patch(protocols=["S3"])
    assert vms.views[view["id"]].get()["protocols"] == ["S3"]
    error = refused(400, vms.views.post, path="/x", policy_id=9999)
    assert b"policy" in error.data, error
    error = refused(400, vms.views.post, policy_id=1)
    assert "path" in json.loads(error.data), error
    error = raised(vms.views.post, path="/again", policy_id=1, protocols=["S3"], bucket="data-one", bucket_owner="viewer", create_dir=True)
    assert error.status in (400, 409), error
    vms.views[view["id"]].delete()
    vms.users[user["id"]].delete()
    refused(404, vms.views[view["id"]].get)


def check_view_without_directory(sim):
    """A view on a path that does not exist needs create_dir"""
    vms = client(sim)
    error = refused(400, vms.views.post, path="/nowhere/at/all", policy_id=1)
    assert error.data, error
    vms.views[vms.views.post(path="/nowhere/at/all", policy_id=1, create_dir=True)["id"]].delete()


def check_users(sim):
    """Users: create without provider, change, keys once shown and never again"""
    vms = client(sim)
    user = vms.users.post(name="keys", uid=5002, gids=[10, 11], allow_create_bucket=True)
    assert user["access_keys"] == [] and user["local_provider"], user
    pair = vms.users[user["id"]].access_keys.post()
    assert len(pair["access_key"]) >= 16 and len(pair["secret_key"]) >= 30
    vms.users[user["id"]].access_keys.patch(access_key=pair["access_key"], enabled=False)
    shown = vms.users[user["id"]].get()
    assert shown["access_keys"][0]["access_key"] == pair["access_key"]
    assert shown["access_keys"][0]["enabled"] is False
    assert pair["secret_key"] not in json.dumps(shown) + json.dumps(vms.users.get())
    assert vms.users.query.get(uid=5002)["name"] == "keys"
    listed = vms.locals3keys.get(user_id=user["id"])
    assert [k["access_key"] for k in listed] == [pair["access_key"]], listed
    vms.users[user["id"]].tenant_data.patch(tenant_id=1, s3_superuser=True)
    assert vms.users[user["id"]].tenant_data.get(tenant_id=1)["s3_superuser"] is True
    vms.users[user["id"]].access_keys.delete(access_key=pair["access_key"])
    assert vms.users[user["id"]].get()["access_keys"] == []
    vms.users[user["id"]].delete()
    refused(404, vms.users[user["id"]].get)
    refused(400, vms.users.post, uid=1)


def check_identity_policies(sim):
    """Identity policies are attached to users and groups"""
    vms = client(sim)
    text = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
    policy = vms.s3policies.post(name="all", policy=text)
    assert json.loads(policy["policy"]) == json.loads(text) and policy["enabled"] in (True, False)
    user = vms.users.post(name="policed", s3_policies_ids=[policy["id"]])
    assert user["s3_policies_ids"] == [policy["id"]], user
    refused(400, vms.s3policies.post, name="bad", policy="{no json")
    group = vms.groups.post(name="crew", gid=700)
    assert [g["gid"] for g in vms.groups.get(name="crew")] == [700]
    vms.groups[group["id"]].delete()
    vms.users[user["id"]].delete()
    vms.s3policies[policy["id"]].delete()


def check_quotas(sim):
    """Quotas: create with directory, filter, change, delete"""
    vms = client(sim)
    quota = vms.quotas.post(name="q1", path="/q1", hard_limit=10**6, soft_limit=10**5, grace_period="1d", create_dir=True)
    assert quota["state"] == "OK" and quota["used_capacity"] == 0 and quota["tenant_name"] == "default", quota
    assert [q["id"] for q in vms.quotas.get(path__startswith="/q")] == [quota["id"]]
    vms.quotas[quota["id"]].patch(hard_limit=2 * 10**6)
    assert vms.quotas[quota["id"]].get()["hard_limit"] == 2 * 10**6
    refused(400, vms.quotas.post, name="q2", path="/q2", hard_limit="lots")
    refused(400, vms.quotas.post, name="q1", path="/q1", hard_limit=1)
    vms.quotas[quota["id"]].delete()
    assert vms.quotas.get(name="q1") == []
    envelope = vms.userquotas.get()
    assert envelope["results"] == [] and envelope["count"] == 0, envelope


def check_snapshots(sim):
    """Snapshots: create, filter, expiry, delete, clone as a task"""
    vms = client(sim)
    vms.folders.create_folder.post(path="/snapped", tenant_id=1)
    snap = vms.snapshots.post(name="s1", path="/snapped/", tenant_id=1)
    assert snap["state"] and snap["path"] == "/snapped/", snap
    assert [s["id"] for s in vms.snapshots.get(path__startswith="/snap")] == [snap["id"]]
    vms.snapshots[snap["id"]].patch(expiration_time="2099-01-01T00:00:00Z")
    clone = vms.snapshots[snap["id"]].clone.post(name="c1", loanee_root_path="/cloned", loanee_tenant_id=1, enabled=True)
    task = sim.finished(clone["async_task"])
    assert task["state"] == "COMPLETED" and isinstance(task["messages"], list), task
    (stream,) = vms.globalsnapstreams.get(loanee_snapshot__id=snap["id"])
    sim.advance(60)
    stream = vms.globalsnapstreams[stream["id"]].get()
    assert stream["status"]["state"] == "FINISHED", stream["status"]
    answer = vms.globalsnapstreams[stream["id"]].delete(remove_dir=True)
    assert sim.finished(answer["async_task"])["state"] == "COMPLETED"
    assert vms.globalsnapstreams.get() == []
    vms.snapshots[snap["id"]].delete()
    assert vms.snapshots.get(name="s1") == []


def check_folders(sim):
    """Folders: create, stat, change, delete with a body"""
    vms = client(sim)
    sim.cluster(enable_trash=True)
    vms.folders.create_folder.post(path="/f/g", tenant_id=1, owner_is_group=False, create_dir_mode=0o755)
    found = vms.folders.stat_path.post(path="/f/g", tenant_id=1)
    assert found["is_directory"] is True and found["children"] == 0, found
    vms.folders.modify_folder.patch(path="/f/g", tenant_id=1, user="root")
    vms.folders.delete_folder.delete(path="/f/g", tenant_id=1)
    error = raised(vms.folders.delete_folder.delete, path="/f/g", tenant_id=1)
    assert error.status in (400, 503) and b"no such directory" in error.data, error


def check_protection(sim):
    """Protection policies and protected paths make snapshots on time"""
    vms = client(sim)
    vms.folders.create_folder.post(path="/protected", tenant_id=1)
    policy = vms.protectionpolicies.post(
        name="hourly", clone_type="LOCAL", prefix="h", frames=[{"every": "1h", "keep-local": "3h", "start-at": "2020-01-01T00:00:00Z"}]
    )
    assert policy["frames"][0]["keep-local"] == "3h", policy
    path = vms.protectedpaths.post(
        name="pp", source_dir="/protected", target_exported_dir="/protected", tenant_id=1, protection_policy_id=policy["id"]
    )
    sim.advance(10 * 3600)
    mine = vms.snapshots.get(path__startswith="/protected")
    assert 2 <= len(mine) <= 4 and all(s["name"].startswith("h") for s in mine), [s["name"] for s in mine]
    assert mine[0]["protection_policy"], mine[0]
    answer = vms.protectedpaths[path["id"]].delete()
    if answer:
        sim.finished(answer["async_task"])
    vms.protectionpolicies[policy["id"]].delete()


def check_qos(sim):
    """QoS policies are attached to views"""
    vms = client(sim)
    qos = vms.qospolicies.post(name="slow", mode="STATIC", static_limits={"max_writes_bw_mbps": 100})
    assert qos["static_limits"]["max_writes_bw_mbps"] == 100, qos
    view = vms.views.post(path="/slow", policy_id=1, qos_policy_id=qos["id"], create_dir=True)
    assert view["qos_policy_id"] == qos["id"], view
    vms.views[view["id"]].delete()
    vms.qospolicies[qos["id"]].delete()


def check_dns_and_pools(sim):
    """DNS and VIP pools: create, change without an answer, delete as tasks"""
    vms = client(sim)
    pool = vms.vippools.post(name="extra", ip_ranges=[["127.0.77.1", "127.0.77.2"]], subnet_cidr=24, role="PROTOCOLS")
    assert pool["ip_ranges"] == [["127.0.77.1", "127.0.77.2"]], pool
    assert len(vms.vips.get(vippool__name="extra")) == 2
    assert vms.vippools[pool["id"]].patch(domain_name="extra") == b""
    dns = vms.dns.post(name="d1", domain_suffix="example.test", vip="127.0.77.9")
    for item in (vms.dns[dns["id"]], vms.vippools[pool["id"]]):
        answer = item.delete()
        if answer:
            assert sim.finished(answer["async_task"])["state"] == "COMPLETED"
    assert vms.vips.get(vippool__name="extra") == []


def check_api_tokens(sim):
    """API tokens: made once, used in place of a password, revoked, limited"""
    vms = client(sim)
    made = vms.apitokens.post(name="t1", expiry_date="1d")
    mine = client(sim, token=made["token"])
    assert mine.clusters.get()[0]["id"] == 1
    assert made["token"] not in json.dumps(vms.apitokens.get())
    assert isinstance(vms.apitokens[made["id"]].patch(name="t2"), str)
    assert isinstance(vms.apitokens[made["id"]].revoke.patch(), str)
    refused(403, mine.clusters.get, text="Token is invalid or expired")
    refused(403, client(sim, token="nonsense").clusters.get)
    refused(400, vms.apitokens.post, name="bad", expiry_date="soon")
    short = client(sim, token=vms.apitokens.post(name="short", expiry_date="1h")["token"])
    assert short.tenants.get()
    sim.advance(3601)
    refused(403, short.tenants.get)
    for number in range(9):
        error = None
        try:
            vms.apitokens.post(name=f"n{number}")
        except RESTFailure as failure:
            error = failure
            break
    assert error and error.status == 503 and isinstance(json.loads(error.data), str), error
    for token in vms.apitokens.get():
        if not token.get("revoked"):
            vms.apitokens[token["id"]].revoke.patch()


def check_stray_quote(sim):
    """The scheme with a stray quote that old vastpy sent is refused"""
    made = client(sim).apitokens.post(name="quoted")
    answer = sim.call("GET", "/api/latest/clusters/", headers={"authorization": f"'Api-Token {made['token']}"})
    assert answer.status == 403, answer
    client(sim).apitokens[made["id"]].revoke.patch()


def check_logins(sim):
    """Wrong passwords are refused"""
    error = raised(client(sim, user="admin", password="wrong").clusters.get)
    assert error.status in (401, 403), error
    assert client(sim, user=USER, password=PASSWORD).login.get()


def check_managers_and_roles(sim):
    """A manager may do what its role permits; the rest says permission_denied"""
    vms = client(sim)
    role = vms.roles.post(name="looker", permissions_list=["view_logical"])
    manager = vms.managers.post(username="look", password="Secret-1234", roles=[role["id"]])
    mine = client(sim, user="look", password="Secret-1234")
    assert isinstance(mine.views.get(), list)
    refused(403, mine.views.post, path="/no", policy_id=1, create_dir=True, text="permission_denied")
    vms.managers[manager["id"]].delete()
    error = raised(mine.views.get)
    assert error.status in (401, 403), error
    vms.roles[role["id"]].delete()


def check_tenant_header(sim):
    """X-Tenant-Name names a tenant that exists"""
    assert isinstance(client(sim, user=USER, password=PASSWORD, tenant="default").views.get(), list)
    error = raised(client(sim, user=USER, password=PASSWORD, tenant="nobody").views.get)
    assert 400 <= error.status < 500, error


def check_paging(sim):
    """Lists are bare without paging parameters and enveloped with them, with absolute links"""
    vms = client(sim)
    made = [vms.quotas.post(name=f"page{i}", path=f"/page{i}", create_dir=True)["id"] for i in range(5)]
    assert isinstance(vms.quotas.get(), list)
    page = vms.quotas.get(page_size=2, name__startswith="page")
    assert page["count"] == 5 and len(page["results"]) == 2 and page["previous"] is None, page
    seen, url = [q["name"] for q in page["results"]], page["next"]
    while url:
        assert url.startswith("https://"), url
        answer = sim.http.request("GET", url, headers=sim.basic)
        body = json.loads(answer.data)
        seen, url = seen + [q["name"] for q in body["results"]], body["next"]
    assert sorted(seen) == [f"page{i}" for i in range(5)], seen
    assert isinstance(vms.views.get(page=1), dict) and isinstance(vms.s3policies.get(page_size=10), dict)
    refused(404, vms.quotas.get, page=99)
    for quota in made:
        vms.quotas[quota].delete()


def check_filters(sim):
    """Filters of every suffix, negated, and unknown ones ignored"""
    vms = client(sim)
    made = [
        vms.quotas.post(name=n, path=f"/filter/{n}", hard_limit=h, create_dir=True)["id"]
        for n, h in (("alpha", 10), ("Alpine", 20), ("beta", 30))
    ]
    everything = {"path__startswith": "/filter/"}

    def names(**filters):
        return sorted(q["name"] for q in vms.quotas.get(**everything, **filters))

    assert names() == ["Alpine", "alpha", "beta"]
    assert names(name="beta") == ["beta"]
    assert names(name__contains="lp") == ["Alpine", "alpha"]
    assert names(name__startswith="al") == ["alpha"]
    assert names(name__icontains="AL") == ["Alpine", "alpha"]
    assert names(name__endswith="a") == ["alpha", "beta"]
    assert names(name__in="alpha,beta") == ["alpha", "beta"]
    assert names(hard_limit__gt=10) == ["Alpine", "beta"]
    assert names(hard_limit__gte=20, hard_limit__lt=30) == ["Alpine"]
    assert names(hard_limit__lte=10) == ["alpha"]
    assert names(name__regex="^[ab]") == ["alpha", "beta"]
    assert names(name__iregex="^a") == ["Alpine", "alpha"]
    assert names(name__not_contains="lp") == ["beta"]
    assert names(tenant_id__isnull="false") == ["Alpine", "alpha", "beta"]
    assert names(force_remove="true", tentant_id=7, no_such_field__gt=1) == ["Alpine", "alpha", "beta"]
    for quota in made:
        vms.quotas[quota].delete()


def check_events(sim):
    """What was done is in the events, always enveloped"""
    vms = client(sim)
    view = vms.views.post(path="/eventful", policy_id=1, create_dir=True)
    assert "results" in vms.events.get()
    page = vms.events.get(page_size=1000)
    assert page["count"] >= 1 and page["results"], page
    assert any("/eventful" in json.dumps(e) for e in page["results"]), [e["event_name"] for e in page["results"]]
    vms.views[view["id"]].delete()
    assert isinstance(vms.alarms.get(), list)


def check_metrics(sim):
    """Capacity metrics, ad hoc queries and the Prometheus pages agree"""
    vms = client(sim)
    props = ["drr", "logical_space", "logical_space_in_use", "physical_space", "physical_space_in_use"]
    found = vms.monitors.ad_hoc_query.get(
        object_type="cluster", time_frame="5m", prop_list=[f"Capacity,{p}" for p in props]
    )
    assert found["prop_list"][:2] == ["timestamp", "object_id"] and len(found["prop_list"]) == 7, found["prop_list"]
    assert found["data"] and all(len(row) == 7 for row in found["data"]), found
    cluster = vms.clusters.get()[0]
    row = dict(zip(found["prop_list"], found["data"][-1]))
    assert row["Capacity,logical_space"] == cluster["logical_space"], (row, cluster["logical_space"])
    text = vms.prometheusmetrics.get().decode()
    assert "# TYPE vast_cluster_logical_space_in_use" in text, text[:300]
    assert len(vms.capacity.get(path="/", tentant_id=1)["root_data"]) == 3


def check_unknown(sim):
    """What does not exist is 404, what is not allowed 405, what is no JSON 400"""
    vms = client(sim)
    refused(404, vms.nosuchthing.get)
    refused(404, vms.views[99999].get)
    refused(404, vms.views[99999].delete)
    error = raised(vms.versions.post, name="x")
    assert error.status == 405, error
    headers = {**sim.basic, "Content-Type": "application/json"}
    assert sim.call("POST", "/api/views/", "{nonsense", headers).status == 400
    assert sim.call("POST", "/api/views/", "[1,2]", headers).status == 400


def check_tls(sim):
    """The management address has a certificate by the printed authority"""
    trusting = urllib3.PoolManager(ca_certs=sim.ca, retries=False)
    assert trusting.request("GET", sim.vms + "/api/health/", headers=sim.basic).status == 200
    try:
        urllib3.PoolManager(retries=False).request("GET", sim.vms + "/api/health/")
    except urllib3.exceptions.SSLError:
        return
    raise AssertionError("trusted without its authority")
