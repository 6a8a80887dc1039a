//! Descriptions: applied once, twice, changed; mistakes are told in place.

use std::time::Duration;

use serde_json::{Value, json};
use vast_sim::describe::{ApplyError, Described, Done, Outcome, Settings, settle};
use vast_sim::{Cluster, Config, KeyPair, Retention};

use crate::client::{S3, Vms};

const WHOLE: &str = r#"
[cluster]
s3_port = 0
s3_tls_port = 0
capacity = "1T"

[[tenants]]
name = "red"

[[policies]]
name = "red-s3"
tenant = "red"

[[users]]
name = "backup"
keys = [{ access_key = "AKBACKUP", secret_key = "only-for-tests" }]
fields = { allow_create_bucket = true }

[[users]]
name = "rita"
tenant = "red"

[[views]]
path = "/images"
bucket = "images"
owner = "backup"

[[views]]
path = "/red"
tenant = "red"
policy = "red-s3"
bucket = "red"
owner = "rita"

[[views]]
path = "/home"

[[quotas]]
path = "/images"
hard_limit = "1M"

[[faults]]
operations = ["PutObject"]
count = 1
effect = { type = "error", status = 503, code = "SlowDown" }
"#;

fn read(text: &str) -> Described {
    Described::read("cluster.toml", text.to_owned()).unwrap_or_else(|m| panic!("{}", m.render(false)))
}

fn outcomes(done: &[Done]) -> Vec<(&str, &str, Outcome)> {
    done.iter().map(|d| (d.resource.as_str(), d.name.as_str(), d.outcome)).collect()
}

fn keys() -> KeyPair {
    KeyPair { access_key: "AKBACKUP".to_owned(), secret_key: "only-for-tests".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_is_brought_about_once() {
    let cluster = Cluster::start(Config::default()).await.unwrap();
    let described = read(WHOLE);
    described.stands_alone().unwrap();
    let views = || cluster.vms("GET", "views", &Value::Null).unwrap().as_array().unwrap().len();
    let before = views();
    let done = described.apply(&cluster).unwrap();
    assert_eq!(
        done.iter().map(|d| (d.resource.as_str(), d.name.as_str())).collect::<Vec<_>>(),
        [
            ("tenants", "red"),
            ("viewpolicies", "red-s3"),
            ("users", "backup"),
            ("keys", "AKBACKUP"),
            ("users", "rita"),
            ("views", "/images"),
            ("views", "/red"),
            ("views", "/home"),
            ("quotas", "/images"),
            ("faults", "error"),
        ]
    );
    assert!(done.iter().all(|d| d.outcome == Outcome::Created), "{done:?}");

    let s3 = S3::new(&cluster, &keys());
    s3.put("/images/k", "x").await.is(503, "SlowDown");
    s3.put("/images/k", "x").await.ok();
    let full = s3.put("/images/k2", vec![0; 2 << 20]).await;
    assert!(full.status.is_client_error(), "the quota holds: {}", full.text());
    let vms = Vms::new(&cluster);
    let red = vms.get("/api/views/?bucket=red").await.ok().json();
    let tenant = vms.get("/api/tenants/?name=red").await.ok().json();
    assert_eq!(red[0]["tenant_id"], tenant[0]["id"]);
    assert_eq!(vms.get("/api/views/?path=/home").await.ok().json()[0]["protocols"], json!(["NFS"]));

    let again = described.apply(&cluster).unwrap();
    assert!(again.iter().all(|d| d.outcome == Outcome::Unchanged), "{again:?}");
    assert_eq!(cluster.faults().list().len(), 1);
    assert_eq!(views(), before + 3);
    s3.get("/images/k").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_described_anew_is_changed_and_the_rest_left_alone() {
    let cluster = Cluster::start(Config::default()).await.unwrap();
    read(WHOLE).apply(&cluster).unwrap();
    let changed = WHOLE
        .replace("hard_limit = \"1M\"", "hard_limit = \"8M\"")
        .replace("only-for-tests", "another-secret");
    let done = read(&changed).apply(&cluster).unwrap();
    let different: Vec<_> =
        outcomes(&done).into_iter().filter(|(_, _, o)| *o != Outcome::Unchanged).collect();
    assert_eq!(different, [("quotas", "/images", Outcome::Changed)]);
    cluster.faults().clear();
    let old = S3::new(&cluster, &keys());
    old.put("/images/k", "x").await.is(403, "SignatureDoesNotMatch");
    let pair = KeyPair { secret_key: "another-secret".to_owned(), ..keys() };
    S3::new(&cluster, &pair).put("/images/k2", vec![0; 2 << 20]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_cluster_refuses_is_shown_in_place() {
    let cluster = Cluster::start(Config::default()).await.unwrap();
    for (text, line, told) in [
        ("\n[[views]]\npath = \"/a\"\nbucket = \"a\"\nowner = \"nobody\"\n", 5, "no user `nobody`"),
        (
            "[[views]]\npath = \"/a\"\nbucket = \"Bad_Name\"\n",
            3,
            "the cluster refuses this: VMS answered 400",
        ),
        ("[[objects]]\nresource = \"versions\"\nname = \"x\"\n", 2, "VMS answered 4"),
        ("[[quotas]]\npath = \"/q\"\ntenant = \"blue\"\nhard_limit = 1\n", 3, "no tenant `blue`"),
    ] {
        let ApplyError::Refused(mistake) = read(text).apply(&cluster).unwrap_err() else { panic!("{text}") };
        assert_eq!(mistake.line, line, "{mistake}");
        assert!(mistake.message.contains(told), "{mistake}");
    }
}

#[test]
fn mistakes_have_line_column_and_advice() {
    for (text, line, column, message, help) in [
        ("[cluster]\ns3_prt = 1\n", 2, 1, "unknown key `s3_prt`", "did you mean `s3_port`?"),
        ("[cluster]\netag = \"md4\"\n", 2, 8, "unknown value `md4`", "md5, opaque"),
        ("[cluster]\ncapacity = \"lots\"\n", 2, 12, "\"lots\" is not a size", ""),
        ("[cluster]\nvips = [\"127.0.0.300\"]\n", 2, 9, "invalid IP address", ""),
        ("[cluster]\ns3_port = 70000\n", 2, 11, "70000", "u16"),
        ("[[users]]\nnam = \"x\"\n", 2, 1, "unknown key `nam`", "did you mean `name`?"),
        ("[[users]]\nfields = {}\n", 1, 1, "`name` is missing", "name"),
        ("[[users]]\nname = \"x\"\n[[users]]\nname = \"x\"\n", 4, 8, "user `x` is described twice", "line 2"),
        ("[[views]]\npath = \"a\"\n", 2, 8, "begins with a slash", "\"/a\""),
        ("[[faults]]\ncount = 0\neffect = { type = \"answer_lost\" }\n", 1, 1, "count 0", ""),
        (
            "[[faults]]\neffect = { type = \"answer_lots\" }\n",
            2,
            19,
            "unknown value `answer_lots`",
            "`answer_lost`",
        ),
        (
            "[[objects]]\nresource = \"qospolices\"\nname = \"x\"\n",
            2,
            12,
            "no objects `qospolices`",
            "`qospolicies`?",
        ),
        (
            "[[users]]\nname = \"x\"\nfields = { allow_create_buckets = true }\n",
            3,
            12,
            "unknown field `allow_create_buckets` of users",
            "did you mean `allow_create_bucket`?",
        ),
        (
            "[[views]]\npath = \"/a\"\n[[views]]\npath = \"/b\"\n[views.fields]\ns3_versionning = true\n",
            6,
            1,
            "unknown field `s3_versionning` of views",
            "`s3_versioning`?",
        ),
        (
            "[[quotas]]\npath = \"/a\"\nfields = { used_capacity = 1 }\n",
            3,
            12,
            "the cluster's own to say",
            "remove",
        ),
        ("[cluster\n", 1, 9, "", ""),
        ("[[view]]\n", 1, 3, "unknown key `view`", "`views`"),
    ] {
        let mistake = Described::read("c.toml", text.to_owned()).unwrap_err();
        let advice = mistake.help.clone().unwrap_or_default();
        assert_eq!((mistake.line, mistake.column), (line, column), "{}", mistake.render(false));
        assert!(mistake.message.contains(message) && advice.contains(help), "{}", mistake.render(false));
        assert!(mistake.to_string().starts_with(&format!("c.toml:{line}:{column}: ")));
        assert!(
            mistake.render(false).contains(text.lines().nth(line - 1).unwrap()),
            "{}",
            mistake.render(false)
        );
    }
}

#[test]
fn names_that_nothing_has_are_found_without_a_cluster() {
    for (text, line, told) in [
        ("[[views]]\npath = \"/a\"\npolicy = \"s3_default\"\n", 3, "no policy `s3_default`"),
        ("[[users]]\nname = \"ann\"\n[[views]]\npath = \"/a\"\nowner = \"anne\"\n", 5, "no user `anne`"),
        ("[[quotas]]\npath = \"/a\"\ntenant = \"red\"\n", 3, "no tenant `red`"),
    ] {
        let mistake = read(text).stands_alone().unwrap_err();
        assert_eq!(mistake.line, line);
        assert!(mistake.message.contains(told), "{mistake}");
    }
}

#[test]
fn settings_of_a_file_and_flags_reach_the_cluster() {
    let text = "[cluster]\ncnodes = 3\nretention = \"zeros\"\nmax_keys_per_user = 2\nforgive_advances = false\n\
                tasks_kept = 5\nevents_kept = 7\nseed = 11\nclock_start = 2026-01-31T12:00:00Z\nquota_lag = 0\ntask_duration = 0\n";
    let described = read(text);
    let flags = Settings { events_kept: Some(8), ..Settings::default() };
    let config = settle(flags, Some(&described)).unwrap();
    assert_eq!((config.cnodes, config.retention, config.max_keys_per_user), (Some(3), Retention::Zeros, 2));
    assert!(!config.signatures.forgive_advances);
    assert_eq!((config.tasks.kept, config.monitoring.events_kept), (5, 8));
    assert_eq!((config.tasks.duration, config.monitoring.quota_lag), (Duration::ZERO, Duration::ZERO));
    assert_eq!(day_of(&config), "2026-01-31");
    let drawn = |config: &Config| {
        let mut bytes = [0; 8];
        config.entropy.as_ref().unwrap().fill(&mut bytes);
        bytes
    };
    let again = settle(Settings::default(), Some(&described)).unwrap();
    assert_eq!(drawn(&config), drawn(&again), "the seed decides");
}

fn day_of(config: &Config) -> String {
    jiff::Timestamp::try_from(config.clock.now()).unwrap().strftime("%F").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_has_the_cnodes_it_was_started_with() {
    let dir = tempfile::tempdir().unwrap();
    for (cnodes, has) in [(Some(3), 3), (None, 3), (Some(5), 5), (Some(1), 5)] {
        let config = Config { cnodes, data_dir: Some(dir.path().to_owned()), ..Config::default() };
        let cluster = Cluster::start(config).await.unwrap();
        let rows = cluster.vms("GET", "cnodes", &Value::Null).unwrap();
        let names: Vec<&str> = rows.as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
        assert_eq!(names.len(), has, "{names:?}");
        assert_eq!(names.last(), Some(&format!("cnode-{has}").as_str()));
        cluster.stop().await;
    }
}
