//! The effects of faults, explained.

/// An effect for people.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Explained {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// Arguments of `fault add` that make sense.
    pub(crate) example: &'static str,
}

const fn effect(name: &'static str, what: &'static str, example: &'static str) -> Explained {
    Explained { name, what, example }
}

/// All of them, in the order of the type itself.
pub(crate) const EFFECTS: &[Explained] = &[
    effect(
        "error",
        "answered with this status and code, without being carried out; message= adds a text",
        "error status=503 code=SlowDown --operation PutObject",
    ),
    effect(
        "slow_down",
        "answered 503 SlowDown with a Retry-After header",
        "slow_down retry_after_s=5 --times 3",
    ),
    effect(
        "reset_before_body",
        "the connection is reset before any of the body is taken",
        "reset_before_body",
    ),
    effect(
        "reset_after_body",
        "the body is taken, nothing is carried out, the connection is reset",
        "reset_after_body",
    ),
    effect(
        "reset_at",
        "the connection is reset in the middle of a body (side=request or answer)",
        "reset_at side=answer offset=65536 --operation GetObject",
    ),
    effect(
        "answer_lost",
        "carried out, then the connection is reset instead of an answer",
        "answer_lost --times 1",
    ),
    effect("no_answer", "carried out and never answered; the connection stays open", "no_answer --times 1"),
    effect("delay", "waits before anything else happens to it", "delay millis=200 --vip 127.0.0.12"),
    effect(
        "latency",
        "waits for a time that differs from request to request",
        "latency millis=50 jitter_millis=20 --seed 7",
    ),
    effect(
        "bandwidth",
        "bodies pass no faster than this, all that the fault hits together",
        "bandwidth side=answer bytes_per_second=1000000 --vip 127.0.0.12",
    ),
    effect(
        "stall",
        "a body stands still at an offset, for millis= or for ever",
        "stall side=request offset=1048576 --operation UploadPart --times 1",
    ),
    effect("truncate", "a body ends too early", "truncate side=answer offset=1000 --operation GetObject"),
    effect(
        "corrupt_body",
        "one byte of the answer's body is changed",
        "corrupt_body offset=4096 --operation GetObject",
    ),
    effect(
        "corrupt_request",
        "one byte of the request's body is changed before the cluster sees it",
        "corrupt_request offset=4096 --operation PutObject",
    ),
    effect(
        "set_header",
        "a header of the answer gets this value",
        "set_header name=etag value=wrong --operation PutObject",
    ),
    effect(
        "remove_header",
        "a header is missing from the answer",
        "remove_header name=etag --operation PutObject",
    ),
    effect(
        "token_expired",
        "answered as if the VMS token had expired",
        "token_expired --plane vms --times 1",
    ),
    effect(
        "token_revoked",
        "as if the VMS token had been revoked; refreshing it fails as well",
        "token_revoked --plane vms --times 2",
    ),
    effect("key_expired", "answered as if the S3 key pair had expired", "key_expired --times 1"),
    effect("key_revoked", "answered as if the S3 key pair were gone", "key_revoked --bucket backup"),
    effect(
        "clock_skew",
        "the cluster's clock is off for the request; negative when it is behind",
        "clock_skew millis=-1200000",
    ),
    effect(
        "quota_full",
        "writes are refused as beyond a hard limit, after_bytes= into the body",
        "quota_full after_bytes=1048576 --bucket backup",
    ),
    effect(
        "feature_off",
        "a feature of S3 is missing: how=refused or how=ignored",
        "feature_off feature=conditional_writes how=ignored",
    ),
    effect(
        "task_failed",
        "an asynchronous task fails; tasks are operations named \"TASK name\"",
        "task_failed message=broken --plane vms",
    ),
    effect("vip_refused", "nothing listens on the VIP", "vip_refused --vip 127.0.0.12 --for-ms 30000"),
    effect("vip_silent", "the VIP takes connections and never says a word", "vip_silent --vip 127.0.0.12"),
    effect(
        "cnode_down",
        "the CNode is dead: its VIPs move, their connections are reset",
        "cnode_down --cnode cnode-2",
    ),
    effect(
        "cnode_drained",
        "the CNode is drained: its VIPs move, their connections end politely",
        "cnode_drained --cnode cnode-2",
    ),
    effect(
        "vip_moved",
        "the VIP is on another CNode; its connections are reset",
        "vip_moved to=cnode-2 --vip 127.0.0.11",
    ),
    effect(
        "vms_outage",
        "VMS is gone, the data path is not: how=reset, silent, or refused (with --for-ms)",
        "vms_outage how=reset --plane vms",
    ),
];

/// How an effect is written.
pub(crate) fn usage(name: &str) -> String {
    let example = EFFECTS.iter().find(|e| e.name == name).map_or("", |e| e.example);
    format!("for example: vast-sim fault add {example}")
}
