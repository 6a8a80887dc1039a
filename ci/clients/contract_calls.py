"""What is done to every resource while its answers are checked: bodies to create and change, and the paths below it.

`Life.bodies` comes in the order in which objects are made; they are deleted in the reverse order. `{kind}` in a body stands
for the id of the object that was made of that kind, or of the first one that the cluster has.
"""

TEXT = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'

# kind -> (body of POST, body of PATCH, [(method, path below the object, body, query)])
LIVES = {
    "tenants": (
        {"name": "contract", "client_ip_ranges": [["10.0.0.1", "10.0.0.2"]]},
        {"client_ip_ranges": []},
        [
            ("GET", "/tenants/{id}/views_count", None, {}),
            ("GET", "/tenants/{id}/vippool_ip_ranges/", None, {}),
            ("PATCH", "/tenants/{id}/client_ip_ranges/", {"client_ip_ranges": []}, {}),
            ("GET", "/tenants/{id}/client_metrics/", None, {}),
        ],
    ),
    "viewpolicies": ({"name": "contract", "flavor": "S3_NATIVE", "tenant_id": 1, "s3_read_write": ["*"]}, {"s3_read_only": ["10.0.0.0/8"]}, []),
    "s3policies": ({"name": "contract", "policy": TEXT}, {"enabled": True}, []),
    "groups": (
        {"name": "contract", "gid": 7001},
        {"s3_policies_ids": []},
        [("GET", "/groups/query/", None, {"gid": 7001})],
    ),
    "users": (
        {"name": "contract", "uid": 7001, "local_provider_id": 1},
        {"s3_superuser": True},
        [
            ("POST", "/users/{id}/access_keys/", None, {}),
            ("GET", "/users/query/", None, {"uid": 7001}),
            ("PATCH", "/users/query/", {"uid": 7001, "s3_superuser": False}, {}),
            ("GET", "/users/{id}/tenant_data/", None, {"tenant_id": 1}),
            ("PATCH", "/users/{id}/tenant_data/", {"tenant_id": 1, "allow_create_bucket": True}, {}),
            ("POST", "/users/non_local_keys/", {"uid": 7009, "tenant_id": 1}, {}),
        ],
    ),
    "qospolicies": ({"name": "contract", "mode": "STATIC", "static_limits": {"max_reads_bw_mbps": 100}}, {"static_limits": {"max_reads_bw_mbps": 200}}, []),
    "views": (
        {"path": "/contract", "policy_id": "{viewpolicies}", "protocols": ["S3"], "bucket": "contract", "bucket_owner": "contract", "create_dir": True, "s3_versioning": True, "locking": True},
        {"qos_policy_id": None},
        [
            ("GET", "/views/{id}/legal_hold/", None, {"legal_hold_path": "/contract/x/1"}),
            ("PATCH", "/views/{id}/legal_hold/", {"legal_hold_path": "/contract/x/1", "value": True}, {}),
            ("PATCH", "/views/{id}/legal_hold/", {"legal_hold_path": "/contract/x/1", "value": False}, {}),
            ("GET", "/views/{id}/s3cors_configuration/", None, {}),
        ],
    ),
    "s3lifecyclerules": (
        {"name": "contract", "view_id": "{views}", "prefix": "x/", "expiration_days": 3, "enabled": True},
        {"expiration_days": 4},
        [("GET", "/s3lifecyclerules/get_object_expiration/", None, {"bucket_name": "contract", "object_name": "x/1"})],
    ),
    "quotas": (
        {"name": "contract", "path": "/contract", "hard_limit": 10**9, "soft_limit": 10**8, "grace_period": "1d"},
        {"hard_limit": 2 * 10**9},
        [],
    ),
    "snapshots": ({"name": "contract", "path": "/contract/", "tenant_id": 1}, {"expiration_time": "2099-01-01T00:00:00Z"}, []),
    "globalsnapstreams": (
        {"name": "contract", "loanee_root_path": "/contract-clone", "loanee_snapshot_id": "{snapshots}", "loanee_tenant_id": 1, "enabled": True},
        {"enabled": True},
        [
            ("PATCH", "/globalsnapstreams/{id}/pause", {}, {}),
            ("PATCH", "/globalsnapstreams/{id}/resume", {}, {}),
            ("PATCH", "/globalsnapstreams/{id}/stop", {}, {}),
            ("POST", "/snapshots/{snapshots}/clone/", {"name": "contract2", "loanee_root_path": "/contract-clone2", "loanee_tenant_id": 1, "enabled": True}, {}),
        ],
    ),
    "protectionpolicies": (
        {"name": "contract", "clone_type": "LOCAL", "prefix": "c", "frames": [{"every": "1D", "keep-local": "2D", "start-at": "2025-01-01 00:00:00"}]},
        {"prefix": "d"},
        [],
    ),
    "protectedpaths": (
        {"name": "contract", "source_dir": "/contract", "target_exported_dir": "/contract", "tenant_id": 1, "protection_policy_id": "{protectionpolicies}"},
        {"enabled": True},
        [
            ("PATCH", "/protectedpaths/{id}/pause", {}, {}),
            ("PATCH", "/protectedpaths/{id}/resume", {}, {}),
            ("PATCH", "/protectedpaths/{id}/replicate_now/", {}, {}),
        ],
    ),
    "vippools": (
        {"name": "contract", "ip_ranges": [["127.0.88.1", "127.0.88.2"]], "subnet_cidr": 24, "role": "PROTOCOLS"},
        {"domain_name": "contract"},
        [],
    ),
    "dns": ({"name": "contract", "vip": "127.0.88.9", "domain_suffix": "contract.test"}, {"ttl": 5}, []),
    "blockhosts": (
        {"name": "contract", "nqn": "nqn.contract", "tenant_id": 1, "tags": {}},
        {"name": "contract2"},
        [],
    ),
    "roles": ({"name": "contract", "permissions_list": ["view_logical"]}, {"permissions_list": ["view_support"]}, []),
    "managers": (
        {"username": "contract", "password": "Contract-1234", "roles": ["{roles}"]},
        {"first_name": "Con"},
        [("PATCH", "/managers/{id}/unlock/", {}, {})],
    ),
    "realms": ({"name": "contract", "object_types": ["view"]}, {"object_types": ["quota"]}, []),
    "apitokens": ({"name": "contract", "expiry_date": "1d"}, {"name": "contract2"}, []),
    "monitors": (
        {"name": "contract", "object_type": "cluster", "prop_list": ["Capacity,logical_space"], "time_frame": "5m", "granularity": "seconds", "query_id": "1"},
        {"name": "contract2"},
        [("GET", "/monitors/{id}/query/", None, {})],
    ),
}

# Paths that belong to no object, with bodies and queries.
OTHERS = [
    ("PATCH", "/clusters/{clusters}/", {"enable_trash": True}, {}),
    ("GET", "/health/", None, {}),
    ("GET", "/login/", None, {}),
    ("GET", "/metrics/", None, {}),
    ("GET", "/capacity/", None, {"path": "/"}),
    ("GET", "/monitors/ad_hoc_query/", None, {"object_type": "cluster", "prop_list": "Capacity,drr", "time_frame": "5m"}),
    ("GET", "/monitors/topn/", None, {"key": "view"}),
    ("POST", "/folders/create_folder/", {"path": "/contract-folder", "tenant_id": 1}, {}),
    ("PATCH", "/folders/modify_folder/", {"path": "/contract-folder", "tenant_id": 1, "user": "root"}, {}),
    ("POST", "/folders/stat_path/", {"path": "/contract-folder", "tenant_id": 1}, {}),
    ("POST", "/folders/read_only/", {"path": "/contract-folder", "tenant_id": 1}, {}),
    ("GET", "/folders/read_only/", None, {"path": "/contract-folder", "tenant_id": 1}),
    ("DELETE", "/folders/read_only/", {"path": "/contract-folder", "tenant_id": 1}, {}),
    ("DELETE", "/folders/delete_folder/", {"path": "/contract-folder", "tenant_id": 1}, {}),
    ("PATCH", "/vms/{vms}/", {"access_token_lifetime": "01:00:00"}, {}),
    ("GET", "/vms/{vms}/login_banner/", None, {}),
    ("GET", "/vms/{vms}/pwd_settings/", None, {}),
    ("PATCH", "/vms/{vms}/set_max_api_tokens_per_user/", {"max_api_tokens_per_user": 6}, {}),
    ("PATCH", "/indestructibility/{indestructibility}/generate_token/", {"indestructibility_passwd": "default"}, {}),
    ("POST", "/s3keys/", {}, {}),
    ("PATCH", "/alarms/clear/", {}, {}),
    ("POST", "/logout/", {}, {}),
]
