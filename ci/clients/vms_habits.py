"""Clients that are not installed here: their requests byte for byte as they send them, and what they make of the answers."""

import json

from sim import PASSWORD, USER

LOGIN = {"username": USER, "password": PASSWORD}
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
EXPIRED = "Token is invalid or expired"


def bearer(token):
    return {**JSON, "Authorization": f"Bearer {token}"}


def signed_in(sim, path):
    """What logging in at this path answers."""
    answer = sim.call("POST", path, LOGIN, JSON)
    assert answer.status == 200, answer
    pair = answer.json()
    assert pair["access"] and pair["refresh"], pair
    return pair


def probed_first(sim, prefix):
    """A probe with a token that is none, then a login: what the CSI and Cinder drivers begin with."""
    refused = sim.call("GET", f"/api/{prefix}/versions/?status=success", None, bearer("#"))
    assert refused.status == 403 and EXPIRED in refused.text, refused
    token = signed_in(sim, f"/api/{prefix}/token/")["access"]
    answer = sim.call("GET", f"/api/{prefix}/versions/?status=success", None, bearer(token))
    assert answer.status == 200 and isinstance(answer.json(), list), answer
    assert answer.json()[0]["sys_version"].split(".")[0].isdigit(), answer
    return bearer(token)


def ok(answer, *statuses):
    assert answer.status in (statuses or (200, 201, 204)), answer
    return answer.json() if answer.data else None


def check_csi(sim):
    """vast-csi: probe, login, usage report, volume with view, quota and snapshot"""
    sim.cluster(enable_trash=True)  # which the driver's guide asks for
    headers = probed_first(sim, "v1")

    def call(method, path, body=None):
        return sim.call(method, "/api/v1/" + path, body, headers)

    assert call("POST", "plugins/usage/", {"vendor": "vastdata", "name": "vast-csi", "version": "2.5"}).status < 500
    policies = ok(call("GET", "viewpolicies/?name=default"))
    assert len(policies) == 1, policies
    pools = ok(call("GET", "vippools/"))
    assert ok(call("GET", f"vips/?vippool__name={pools[0]['name']}"))
    ok(call("POST", "quotas/", {"name": "csi:pvc-1", "path": "/csi/pvc-1", "create_dir": True, "tenant_id": 1, "hard_limit": 10**9}), 201)
    quotas = ok(call("GET", "quotas/?path__contains=%2Fcsi%2Fpvc-1"))
    assert isinstance(quotas, list) and quotas[0]["hard_limit"] == 10**9, quotas
    body = {"path": "/csi/pvc-1", "protocols": ["NFS"], "policy_id": policies[0]["id"], "tenant_id": 1}
    view = ok(call("POST", "views/", body), 201)
    ok(call("PATCH", f"quotas/{quotas[0]['id']}/", {"hard_limit": 2 * 10**9}), 200)
    snap = ok(call("POST", "snapshots/", {"name": "snap-1", "path": "/csi/pvc-1/", "tenant_id": 1}), 201)
    page = ok(call("GET", "snapshots/?path=%2Fcsi%2Fpvc-1%2F&page_size=10"))
    assert len(page["results"]) == 1, page
    body = {"loanee_root_path": "/csi/pvc-2", "loanee_tenant_id": 1, "name": "strm-1", "enabled": True}
    ok(call("POST", f"snapshots/{snap['id']}/clone/", body))
    sim.advance(30)
    (stream,) = ok(call("GET", f"globalsnapstreams/?loanee_snapshot__id={snap['id']}"))
    assert stream["status"]["state"] == "FINISHED", stream
    ok(call("DELETE", f"globalsnapstreams/{stream['id']}/", {"remove_dir": False}))
    ok(call("DELETE", f"snapshots/{snap['id']}/"), 204)
    ok(call("DELETE", f"views/{view['id']}/"), 204)
    ok(call("DELETE", f"quotas/{quotas[0]['id']}/"), 204)
    ok(call("DELETE", "folders/delete_folder/", {"path": "/csi/pvc-1", "tenant_id": 1}))
    gone = call("DELETE", "folders/delete_folder/", {"path": "/csi/pvc-1", "tenant_id": 1})
    assert gone.status in (400, 503) and "no such directory" in gone.text, gone


def check_trash_disabled(sim):
    """Deleting folders where the trash is switched off says so"""
    sim.api("POST", "folders/create_folder/", {"path": "/trashless", "tenant_id": 1})
    sim.cluster(enable_trash=False)
    gone = sim.call("DELETE", "/api/v1/folders/delete_folder/", {"path": "/trashless", "tenant_id": 1}, {**JSON, **sim.basic})
    assert gone.status in (400, 503) and "trash folder disabled" in gone.text, gone
    sim.cluster(enable_trash=True)
    sim.api("DELETE", "folders/delete_folder/", {"path": "/trashless", "tenant_id": 1})


def check_csi_users(sim):
    """vast-csi COSI: user, key by an empty POST, bucket view"""
    headers = probed_first(sim, "v1")
    user = ok(sim.call("POST", "/api/v1/users/", {"name": "cosi", "uid": 8001, "allow_create_bucket": True}, headers), 201)
    pair = ok(sim.call("POST", f"/api/v1/users/{user['id']}/access_keys/", None, headers), 200)
    assert pair["access_key"] and pair["secret_key"]
    policy = ok(sim.call("GET", "/api/v1/viewpolicies/?name=s3_default_policy", None, headers))[0]
    body = {"bucket": "cosi", "bucket_owner": "cosi", "path": "/cosi", "protocols": ["S3"], "policy_id": policy["id"], "create_dir": True}
    view = ok(sim.call("POST", "/api/v1/views/", body, headers), 201)
    ok(sim.call("DELETE", f"/api/v1/users/{user['id']}/access_keys/", {"access_key": pair["access_key"]}, headers), 204)
    ok(sim.call("DELETE", f"/api/v1/views/{view['id']}/", None, headers), 204)
    ok(sim.call("DELETE", f"/api/v1/users/{user['id']}/", None, headers), 204)


def check_cinder(sim):
    """Cinder 29: version 4 paths, tasks polled by id, capacity by metric query"""
    headers = probed_first(sim, "v4")
    props = ["drr", "logical_space", "logical_space_in_use", "physical_space", "physical_space_in_use"]
    query = "&".join(["object_type=cluster", "time_frame=1m", *(f"prop_list=Capacity%2C{p}" for p in props)])
    metrics = ok(sim.call("GET", f"/api/v4/monitors/ad_hoc_query/?{query}", None, headers))
    last = dict(zip(metrics["prop_list"], metrics["data"][-1]))
    assert last["Capacity,logical_space"] > 0, last
    sim.api("POST", "folders/create_folder/", {"path": "/cinder", "tenant_id": 1})
    snap = ok(sim.call("POST", "/api/v4/snapshots/", {"name": "vol-snap", "path": "/cinder/", "tenant_id": 1}, headers), 201)
    body = {"name": "clone", "loanee_root_path": "/cinder-clone", "loanee_tenant_id": 1, "enabled": True}
    answer = ok(sim.call("POST", f"/api/v4/snapshots/{snap['id']}/clone/", body, headers))
    task = answer["async_task"]
    now = ok(sim.call("GET", f"/api/v4/vtasks/{task['id']}/", None, headers))
    assert now["state"] in ("RUNNING", "COMPLETED") and isinstance(now["messages"], list), now
    sim.finished(task)
    now = ok(sim.call("GET", f"/api/v4/vtasks/{task['id']}/", None, headers))
    assert now["state"].lower() == "completed", now


def check_cinder_volumes(sim):
    """Cinder 29: a subsystem, a volume in it, a host, mapped and unmapped by tasks through the older path"""
    headers = probed_first(sim, "v4")

    def call(method, path, body=None):
        return ok(sim.call(method, "/api/v4/" + path, body, headers))

    body = {"path": "/blocks", "name": "blocks", "policy_id": 1, "protocols": ["BLOCK"], "create_dir": True}
    view = call("POST", "views/", body)
    assert view["nqn"] and "BLOCK" in view["protocols"], view
    volume = call("POST", "volumes/", {"name": "volume-1", "view_id": view["id"], "size": 1 << 30})
    assert volume["uuid"] and volume["nguid"] and volume["full_path"] == "/blocks/volume-1", volume
    assert [v["id"] for v in call("GET", "volumes/?name__endswith=e-1")] == [volume["id"]]
    assert call("PATCH", f"volumes/{volume['id']}/", {"size": 2 << 30}) is None
    assert call("GET", f"volumes/{volume['id']}/")["size"] == 2 << 30
    body = {"name": "node1", "tenant_id": 1, "os_type": "LINUX", "ana": "OPTIMIZED", "connectivity_type": "tcp", "nqn": "nqn.node1"}
    host = call("POST", "blockhosts/", body)
    pair = {"host_id": host["id"], "volume_id": volume["id"]}
    task = call("PATCH", "blockhostvolumes/bulk/", {"pairs_to_add": [pair]})["async_task"]
    assert sim.finished(task)["state"] == "COMPLETED"
    found = call("GET", f"blockhostvolumes/?volume__id={volume['id']}&block_host__name=node1")
    assert found[0]["volume"]["id"] == volume["id"] and found[0]["block_host"]["id"] == host["id"], found
    assert call("GET", f"blockmappings/?volume__id={volume['id'] + 1}") == []
    assert call("GET", f"volumes/{volume['id']}/")["mapped_block_host_count"] == 1
    assert sim.call("DELETE", f"/api/v4/volumes/{volume['id']}/", None, headers).status == 409
    task = call("PATCH", "blockhostvolumes/bulk/", {"pairs_to_remove": [pair]})["async_task"]
    assert sim.finished(task)["state"] == "COMPLETED"
    assert call("GET", "blockhostvolumes/") == []
    call("DELETE", f"volumes/{volume['id']}/?force=True")
    call("DELETE", f"blockhosts/{host['id']}/")


def check_cinder_clones(sim):
    """Cinder 29: a snapshot of a volume, volumes cloned from it, and the streams behind them that carry their names"""
    headers = probed_first(sim, "v4")

    def call(method, path, body=None):
        return ok(sim.call(method, "/api/v4/" + path, body, headers))

    body = {"path": "/subsystem", "name": "subsystem", "policy_id": 1, "protocols": ["BLOCK"], "create_dir": True}
    view = call("POST", "views/", body)
    volume = call("POST", "volumes/", {"name": "openstack-vol-1", "view_id": view["id"], "size": 1 << 30})
    snap = call("POST", "snapshots/", {"name": "openstack-snap-1", "path": "/subsystem/openstack-vol-1", "tenant_id": 1})
    assert [s["name"] for s in call("GET", f"volumes/{volume['id']}/get_snapshots")] == ["openstack-snap-1"]
    # The clone has the size that the volume had then.
    call("PATCH", f"volumes/{volume['id']}/", {"size": 2 << 30})
    body = {"target_subsystem_id": view["id"], "target_volume_path": "openstack-vol-2"}
    clone = call("POST", f"snapshots/{snap['id']}/clone_volume/", body)
    assert (clone["name"], clone["size"], clone["view_id"]) == ("openstack-vol-2", 1 << 30, view["id"]), clone
    again = sim.call("POST", f"/api/v4/snapshots/{snap['id']}/clone_volume/", body, headers)
    assert again.status == 400, again
    unfinished = call("GET", f"globalsnapstreams/?loanee_snapshot__id={snap['id']}&page_size=10")["results"]
    assert [s["status"]["state"] for s in unfinished] == ["IN_PROGRESS"], unfinished
    stream = call("GET", "globalsnapstreams/?name__endswith=vol-2")[0]
    assert sim.finished(call("PATCH", f"globalsnapstreams/{stream['id']}/stop")["async_task"])["state"] == "COMPLETED"
    call("DELETE", f"globalsnapstreams/{stream['id']}/", {"remove_dir": True})
    call("DELETE", f"volumes/{clone['id']}/?force=True")
    call("DELETE", f"snapshots/{snap['id']}/")
    call("DELETE", f"volumes/{volume['id']}/?force=True")
    # With the volume its path is gone.
    gone = sim.call("POST", "/api/v4/snapshots/", {"name": "s", "path": "/subsystem/openstack-vol-1", "tenant_id": 1}, headers)
    assert gone.status == 400, gone


def check_manila(sim):
    """Manila 23: no version in the path, bare lists, quota and view for a share"""
    sim.cluster(enable_trash=True)
    headers = bearer(signed_in(sim, "/api/token/")["access"])
    assert isinstance(ok(sim.call("GET", "/api/vippools/", None, headers)), list)
    quota = ok(sim.call("POST", "/api/quotas/", {"name": "manila-1", "path": "/manila/1", "create_dir": True, "hard_limit": 1 << 30}, headers), 201)
    found = ok(sim.call("GET", "/api/quotas/?name=manila-1", None, headers))
    assert [q["id"] for q in found] == [quota["id"]]
    policy = ok(sim.call("POST", "/api/viewpolicies/", {"name": "manila-1", "flavor": "NFS", "nfs_read_write": ["10.0.0.1"]}, headers), 201)
    view = ok(sim.call("POST", "/api/views/", {"name": "manila-1", "path": "/manila/1", "policy_id": policy["id"], "protocols": ["NFS"], "create_dir": True}, headers), 201)
    ok(sim.call("PATCH", f"/api/viewpolicies/{policy['id']}/", {"nfs_read_write": ["*"]}, headers), 200)
    snap = ok(sim.call("POST", "/api/snapshots/", {"name": "manila-snap", "path": "/manila/1"}, headers), 201)
    ok(sim.call("DELETE", f"/api/snapshots/{snap['id']}/", None, headers), 204)
    # A share goes by its folder first, while view, quota and policy are still there.
    ok(sim.call("DELETE", "/api/folders/delete_folder/", {"path": "/manila/1"}, headers))
    page = ok(sim.call("GET", "/api/quotas/?page_size=1", None, headers))
    assert page["next"] is None or "/api/" in page["next"], page
    for path in (f"views/{view['id']}", f"viewpolicies/{policy['id']}", f"quotas/{quota['id']}"):
        ok(sim.call("DELETE", f"/api/{path}/", None, headers), 204)
    # An access token that is no longer good: 403, then a login.
    sim.call("POST", "/sim/v1/tokens/expire", None, sim.basic)
    expired = sim.call("GET", "/api/quotas/", None, headers)
    assert expired.status == 403 and EXPIRED in expired.text, expired


def check_go(sim):
    """go-vast-client: token without version, calls at v5, refresh of both tokens, then the password"""
    pair = signed_in(sim, "/api/token/")
    headers = {**bearer(pair["access"]), "User-Agent": "go-vast-client"}
    assert isinstance(ok(sim.call("GET", "/api/v5/views", None, headers)), list)
    answer = sim.call("POST", "/api/token/refresh/", {"refresh": pair["refresh"]}, JSON)
    fresh = ok(answer, 200)
    assert fresh["access"] and fresh["refresh"], fresh
    assert ok(sim.call("GET", "/api/v5/tenants/?name=default&force_remove=true", None, bearer(fresh["access"])))[0]["id"] == 1
    bad = sim.call("POST", "/api/token/refresh/", {"refresh": "x.y.z"}, JSON)
    assert bad.status == 401 and bad.json()["code"] == "token_not_valid", bad
    denied = sim.call("POST", "/api/token/", {"username": USER, "password": "wrong"}, JSON)
    assert denied.status == 401 and "detail" in denied.json(), denied
    query = "object_type=cluster&prop_list=Capacity%2Cdrr&prop_list=Capacity%2Clogical_space&time_frame=5m"
    metrics = ok(sim.call("GET", f"/api/v5/monitors/ad_hoc_query?{query}", None, bearer(fresh["access"])))
    assert len(metrics["prop_list"]) == 4, metrics["prop_list"]
    tenant = ok(sim.call("POST", "/api/v5/tenants/", {"name": "go"}, bearer(fresh["access"])), 201)
    body = {"path": "/go", "policy_id": 1, "tenant_id": 1, "create_dir": True, "protocols": ["NFS", "NFS4"]}
    view = ok(sim.call("POST", "/api/v5/views/", body, bearer(fresh["access"])), 201)
    ok(sim.call("DELETE", f"/api/v5/views/{view['id']}/?force=true", None, bearer(fresh["access"])), 204)
    gone = sim.call("DELETE", f"/api/v5/tenants/{tenant['id']}/?force_remove=true", None, bearer(fresh["access"]))
    if gone.status == 200:
        task = gone.json()["async_task"]
        sim.finished(task)
        done = ok(sim.call("GET", f"/api/v5/vtasks/{task['id']}/", None, bearer(fresh["access"])))
        assert done["state"].lower() == "completed", done
    else:
        assert gone.status == 204, gone


def check_go_api_token(sim):
    """go-vast-client with an API token, and what a refused revocation says"""
    token = sim.api("POST", "apitokens/", {"name": "go", "owner": USER, "expiry_date": "1D"})
    headers = {**JSON, "Authorization": f"Api-Token {token['token']}"}
    assert isinstance(ok(sim.call("GET", "/api/v5/clusters/", None, headers)), list)
    answer = sim.call("PATCH", f"/api/v5/apitokens/{token['id']}/revoke", {}, {**JSON, **sim.basic})
    assert answer.status == 200 and isinstance(answer.json(), str), answer
    assert sim.call("PATCH", "/api/v5/apitokens/none/revoke", {}, {**JSON, **sim.basic}).status == 404
    refused = sim.call("GET", "/api/v5/clusters/", None, headers)
    assert refused.status == 403 and "permission_denied" not in refused.text, refused


def check_terraform_reads_back(sim):
    """terraform: optional nested objects are null, so that a second plan is empty"""
    headers = bearer(signed_in(sim, "/api/token/")["access"])
    body = {"path": "/tf", "policy_id": 1, "create_dir": True, "protocols": ["NFS"]}
    view = ok(sim.call("POST", "/api/v5/views/", body, headers), 201)
    read = ok(sim.call("GET", f"/api/v5/views/{view['id']}/", None, headers))
    for field in ("bucket_logging", "share_acl", "user_impersonation"):
        assert read[field] is None, f"{field}: {read[field]}"
    again = ok(sim.call("PATCH", f"/api/v5/views/{view['id']}/", {"protocols": ["NFS"]}, headers), 200)
    assert again["id"] == view["id"] and again["path"] == "/tf", again
    ok(sim.call("DELETE", f"/api/v5/views/{view['id']}/", None, headers), 204)
    assert sim.call("GET", f"/api/v5/views/{view['id']}/", None, headers).status == 404


def check_exporter(sim):
    """vast-exporter: clusters without version, then the proxy with a doubled slash and none at the end"""
    (cluster,) = ok(sim.call("GET", "/api/clusters/", None, sim.basic))
    assert all(part.isdigit() for part in cluster["sw_version"].split(".")), cluster["sw_version"]
    for path in ("all", "views", "vips", "quotas", "tenants", "users", "alarms", "devices", "nics"):
        answer = sim.call("GET", f"/api//prometheusmetrics/{path}", None, sim.basic)
        assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain"), (path, answer)
        for line in answer.text.splitlines():
            if line and not line.startswith("#"):
                float(line.rsplit(" ", 1)[1])
    for name in ("cnodes", "dnodes", "vips", "quotas", "views", "tenants", "nics", "cboxes", "dboxes", "fans", "psus"):
        assert isinstance(ok(sim.call("GET", f"/api/{name}/", None, sim.basic)), list), name
    assert "results" in ok(sim.call("GET", "/api/events/", None, sim.basic))
    assert "results" in ok(sim.call("GET", "/api/userquotas/?page_size=10", None, sim.basic))
    top = ok(sim.call("GET", "/api/monitors/topn/?key=view", None, sim.basic))
    assert "view" in top["data"], top
    for kind in ("cluster", "cnode", "view", "vip", "nic", "cbox", "dbox", "fan", "psu"):
        answer = sim.call("GET", f"/api/monitors/ad_hoc_query/?object_type={kind}&time_frame=5m&prop_list=Capacity%2Cdrr", None, sim.basic)
        assert answer.status == 200 and answer.json()["prop_list"][1] == "object_id", (kind, answer)


def check_ansible(sim):
    """vast-ansible: the version gate before every module, tasks found by a filter on the list"""
    (cluster,) = ok(sim.call("GET", "/api/latest/clusters/", None, sim.basic))
    assert (5, 4, 0) <= tuple(map(int, cluster["sw_version"].split(".")[:3])) < (5, 5, 0), cluster["sw_version"]
    headers = {**JSON, **sim.basic}
    missing = sim.call("GET", "/api/latest/views/99999/", None, headers)
    assert missing.status == 404 and "not found" in missing.text.lower(), missing
    tenant = ok(sim.call("POST", "/api/latest/tenants/", {"name": "ansible"}, headers), 201)
    updated = ok(sim.call("PATCH", f"/api/latest/tenants/{tenant['id']}/", {"client_ip_ranges": [["10.1.0.1", "10.1.0.2"]]}, headers), 200)
    assert updated["id"] == tenant["id"], updated
    gone = sim.call("DELETE", f"/api/latest/tenants/{tenant['id']}/", None, headers)
    assert gone.status in (200, 204), gone
    if gone.status == 200:
        task = gone.json()["async_task"]["id"]
        found = ok(sim.call("GET", f"/api/latest/vtasks/?id={task}", None, headers))
        assert len(found) == 1 and found[0]["id"] == task, found
        sim.finished({"id": task})
        found = ok(sim.call("GET", f"/api/latest/vtasks/?id={task}", None, headers))
        assert found[0]["state"] == "COMPLETED", found


def check_mcp(sim):
    """vast-admin-mcp: page_size on every list, a misspelt parameter, the cluster out of an envelope"""
    names = [
        "clusters", "tenants", "views", "viewpolicies", "quotas", "vippools", "vips", "users", "groups", "snapshots",
        "globalsnapstreams", "s3policies", "activedirectory", "supportbundles", "protectionpolicies", "protectedpaths",
        "qospolicies", "dns", "cnodes", "dnodes", "alarms", "events", "vtasks", "managers", "roles", "localproviders",
    ]
    for name in names:
        page = ok(sim.call("GET", f"/api/latest/{name}/?page_size=1000&page=1", None, sim.basic), 200)
        assert set(page) >= {"count", "next", "previous", "results"}, (name, page)
        assert page["count"] == len(page["results"]) and page["next"] is None, (name, page["count"])
    assert ok(sim.call("GET", "/api/latest/clusters/?page_size=1000&page=1", None, sim.basic)).get("results")
    root = ok(sim.call("GET", "/api/latest/capacity/?path=%2F&tentant_id=1", None, sim.basic))["root_data"]
    assert len(root) == 3, root


def check_prefixes(sim):
    """Every prefix, with and without a slash at the end, doubled or not, is the same place"""
    views = None
    for prefix in ("", "v1/", "v4/", "v5/", "v9/", "latest/"):
        for path in (f"/api/{prefix}views/", f"/api/{prefix}views", f"/api//{prefix}views/"):
            answer = sim.call("GET", path, None, sim.basic)
            assert answer.status == 200, (path, answer)
            views = views or answer.data
            assert answer.data == views, path
    for prefix in ("", "v1/", "v4/", "latest/"):
        assert sim.call("POST", f"/api/{prefix}token/", LOGIN, JSON).status == 200


def check_refusals(sim):
    """No, bad and foreign credentials: 403 with the text that drivers look for"""
    for headers in ({}, bearer("x.y.z"), {"Authorization": "Api-Token none"}, {"Authorization": "Negotiate x"}):
        answer = sim.call("GET", "/api/views/", None, headers)
        assert answer.status == 403 and EXPIRED in answer.text, (headers, answer)
        assert answer.headers["Content-Type"].startswith("application/json")
    assert json.loads(sim.call("GET", "/api/views/", None, {}).text)["code"] == "token_not_valid"


def check_tenant_admin(sim):
    """A tenant's manager sees and makes only what is in the tenant"""
    tenant = sim.api("POST", "tenants/", {"name": "green"})
    sim.api("POST", "viewpolicies/", {"name": "green-policy", "flavor": "NFS", "tenant_id": tenant["id"]})
    sim.api("POST", "quotas/", {"name": "green-quota", "path": "/g", "tenant_id": tenant["id"], "create_dir": True})
    sim.api("POST", "quotas/", {"name": "other-quota", "path": "/o", "tenant_id": 1, "create_dir": True})
    headers = {**sim.basic, **JSON, "X-Tenant-Name": "green"}
    answer = sim.call("GET", "/api/quotas/", None, headers)
    assert [q["name"] for q in answer.json()] == ["green-quota"], answer
    made = ok(sim.call("POST", "/api/quotas/", {"name": "mine", "path": "/m", "create_dir": True}, headers), 201)
    assert made["tenant_id"] == tenant["id"] and made["tenant_name"] == "green", made


def check_connections(sim):
    """Requests on one connection and bodies without length are taken"""
    import http.client
    import ssl
    from urllib.parse import urlsplit

    place = urlsplit(sim.vms)
    link = http.client.HTTPSConnection(place.hostname, place.port, context=ssl.create_default_context(cafile=sim.ca))
    for _ in range(3):
        link.request("GET", "/api/clusters/", headers=sim.basic)
        answer = link.getresponse()
        assert answer.status == 200 and json.loads(answer.read())
    body = iter([b'{"username": "admin", ', b'"password": "123456"}'])
    link.request("POST", "/api/token/", body, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}, encode_chunked=True)
    answer = link.getresponse()
    assert answer.status == 200, answer.read()
    link.close()
