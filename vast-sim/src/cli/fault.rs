//! `vast-sim fault`: what shall go wrong in a running cluster, and what did.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use vast_sim::Fault as Armed;
use vast_sim::describe::nearest;

use super::effects::{self, EFFECTS};
use super::remote::Remote;
use super::{Exit, Failure, Result, print, print_json, read_description, table, warn};

pub(crate) const HELP: &str = "A fault says which requests it is for, what happens to them, and how often. Requests that it does not concern are
left alone; every request that it hits is in the log with the fault's number.

Examples:
  vast-sim fault add error status=503 code=SlowDown --operation PutObject --times 2
                              the next two PUTs of objects are answered 503 SlowDown
  vast-sim fault add answer_lost --operation CompleteMultipartUpload --times 1
                              the next completion is carried out, its answer never arrives
  vast-sim fault add delay millis=200 --vip 127.0.0.12
                              every request on that VIP waits 200 ms
  vast-sim fault add corrupt_body offset=4096 --operation GetObject --bucket images --key-prefix db/
                              one byte of what is read below images/db/ is wrong
  vast-sim fault add token_expired --plane vms --skip 3 --times 1
                              the fourth VMS call from now finds its token expired
  vast-sim fault add cnode_down --cnode cnode-1 --for-ms 30000
                              the CNode is dead for half a minute; its VIPs move to others
  vast-sim fault effects      all effects with their parameters
  vast-sim fault list         what is armed and how often it hit
  vast-sim fault log          which requests were hit
  vast-sim fault clear        removes all
  vast-sim fault clear-log    empties the log";

/// Commands of `fault`.
#[derive(Debug, Subcommand)]
pub(crate) enum Fault {
    /// Arm a fault
    #[command(after_help = HELP)]
    Add(Box<Add>),
    /// List what is armed, with the number of hits
    List(Show),
    /// List the requests that were hit
    Log(Show),
    /// Remove one
    Remove {
        /// Its number, as `add` and `list` print it
        id: u64,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove all; the log of what they did stays
    Clear {
        #[command(flatten)]
        remote: Remote,
    },
    /// Empty the log
    ClearLog {
        #[command(flatten)]
        remote: Remote,
    },
    /// Explain the effects and their parameters
    Effects {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Arguments of `list` and `log`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    remote: Remote,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `add`.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What happens; `vast-sim fault effects` explains them
    #[arg(value_name = "EFFECT", required_unless_present_any = ["file", "fault"])]
    effect: Option<String>,
    /// The effect's parameters
    #[arg(value_name = "NAME=VALUE", requires = "effect")]
    parameters: Vec<String>,
    /// Whole faults from a file: its [[faults]] tables, in the form of `serve --config`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["effect", "fault"])]
    file: Option<PathBuf>,
    /// A whole fault as JSON, in the form that `fault list --json` prints
    #[arg(long, value_name = "JSON", conflicts_with = "effect")]
    fault: Option<String>,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    remote: Remote,
    /// Print the fault's number as JSON
    #[arg(long)]
    json: bool,
}

/// Which requests, and how often.
#[derive(Debug, Args)]
struct Scope {
    /// s3 or vms [default: s3]
    #[arg(long)]
    plane: Option<String>,
    /// Only these operations: `PutObject`, `UploadPart`, ...; VMS: `GET views`. May be given several times
    #[arg(long, value_name = "NAME")]
    operation: Vec<String>,
    /// Only this bucket
    #[arg(long)]
    bucket: Option<String>,
    /// Only keys that begin so
    #[arg(long, value_name = "TEXT")]
    key_prefix: Option<String>,
    /// Only keys that match: * stands for any characters, ? for one
    #[arg(long, value_name = "PATTERN")]
    key_glob: Option<String>,
    /// Only what this CNode serves at the time
    #[arg(long, value_name = "NAME")]
    cnode: Option<String>,
    /// Hit this share of the requests, above 0 and at most 1
    #[arg(long, value_name = "SHARE")]
    probability: Option<f64>,
    /// What chance goes by: the same seed hits the same requests
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Disarm after so many milliseconds on the cluster's clock
    #[arg(long, value_name = "MS")]
    for_ms: Option<u64>,
    /// Only this VIP, an address without port
    #[arg(long, value_name = "ADDR")]
    vip: Option<String>,
    /// Let this many matching requests pass first
    #[arg(long, value_name = "N")]
    skip: Option<u64>,
    /// Hit so many requests, then no more [default: all until it is removed]
    #[arg(long, value_name = "N")]
    times: Option<u64>,
}

impl Scope {
    fn fields(&self) -> Map<String, Value> {
        let text = |t: &Option<String>| t.clone().map(Value::from);
        let operations = (!self.operation.is_empty()).then(|| self.operation.clone().into());
        let fields = [
            ("plane", text(&self.plane)),
            ("operations", operations),
            ("bucket", text(&self.bucket)),
            ("key_prefix", text(&self.key_prefix)),
            ("key_glob", text(&self.key_glob)),
            ("vip", text(&self.vip)),
            ("cnode", text(&self.cnode)),
            ("probability", self.probability.map(Value::from)),
            ("seed", self.seed.map(Value::from)),
            ("for_ms", self.for_ms.map(Value::from)),
            ("skip", self.skip.map(Value::from)),
            ("count", self.times.map(Value::from)),
        ];
        fields.into_iter().filter_map(|(f, v)| Some((f.to_owned(), v?))).collect()
    }
}

/// A parameter's value: a number, yes or no, JSON, or text.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

impl Add {
    /// The faults that the arguments describe.
    fn faults(&self) -> Result<Vec<Armed>> {
        let bad = |e: &dyn std::fmt::Display| Failure::new(Exit::BadInput, e);
        if let Some(file) = &self.file {
            let read = read_description(file)?;
            return Ok(read.description.faults.into_iter().map(toml::Spanned::into_inner).collect());
        }
        if let Some(json) = &self.fault {
            return Ok(vec![serde_json::from_str(json).map_err(|e| bad(&format_args!("--fault: {e}")))?]);
        }
        let name = self.effect.as_deref().unwrap_or_default();
        if !EFFECTS.iter().any(|e| e.name == name) {
            let names: Vec<&str> = EFFECTS.iter().map(|e| e.name).collect();
            return Err(bad(&format_args!("unknown effect {name:?}; {}", nearest("effect", name, &names))));
        }
        let mut effect = Map::from_iter([("type".to_owned(), Value::from(name))]);
        for parameter in &self.parameters {
            let Some((field, text)) = parameter.split_once('=') else {
                return Err(bad(&format_args!("{parameter:?}: NAME=VALUE is needed")));
            };
            effect.insert(field.to_owned(), value(text));
        }
        let mut fault = self.scope.fields();
        fault.insert("effect".to_owned(), effect.into());
        let fault = serde_json::from_value(fault.into());
        Ok(vec![fault.map_err(|e| bad(&format_args!("{name}: {e}; {}", effects::usage(name))))?])
    }
}

impl Fault {
    pub(crate) fn run(self) -> Result<Exit> {
        match self {
            Self::Add(add) => {
                let faults = add.faults()?;
                let cluster = add.remote.connect()?;
                for fault in faults {
                    let body = serde_json::to_value(&fault).map_err(|e| Failure::new(Exit::SetUp, e))?;
                    let made = cluster.call("POST", "/sim/v1/faults", Some(&body))?;
                    for warning in made["warnings"].as_array().into_iter().flatten() {
                        warn(&cell(Some(warning)));
                    }
                    if add.json {
                        print_json(&made)?;
                    } else {
                        print(&format!("fault {} is armed", made["id"]));
                    }
                }
            }
            Self::List(show) => show.run("/sim/v1/faults", &LIST)?,
            Self::Log(show) => show.run("/sim/v1/faults/log", &LOG)?,
            Self::Remove { id, remote } => {
                remote.connect()?.call("DELETE", &format!("/sim/v1/faults/{id}"), None)?;
            }
            Self::Clear { remote } => {
                remote.connect()?.call("DELETE", "/sim/v1/faults", None)?;
            }
            Self::ClearLog { remote } => {
                remote.connect()?.call("DELETE", "/sim/v1/faults/log", None)?;
            }
            Self::Effects { json: true } => print_json(&EFFECTS)?,
            Self::Effects { json: false } => {
                let mut table = table(&["effect", "what happens", "example"]);
                for effect in EFFECTS {
                    table.add_row([effect.name, effect.what, effect.example]);
                }
                print(&table.to_string());
            }
        }
        Ok(Exit::Done)
    }
}

/// Columns of a list: title and JSON pointer.
type Columns = [(&'static str, &'static str)];

const LIST: [(&str, &str); 5] = [
    ("fault", "/id"),
    ("effect", "/fault/effect"),
    ("which requests", "/fault"),
    ("matched", "/seen"),
    ("hit", "/hits"),
];

const LOG: [(&str, &str); 8] = [
    ("hit", "/number"),
    ("fault", "/fault_id"),
    ("effect", "/effect"),
    ("request", "/request_id"),
    ("operation", "/operation"),
    ("vip", "/vip"),
    ("bucket", "/bucket"),
    ("key", "/key"),
];

impl Show {
    fn run(&self, path: &str, columns: &Columns) -> Result<()> {
        let rows = self.remote.connect()?.call("GET", path, None)?;
        if self.json {
            return print_json(&rows);
        }
        let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
        let mut table = table(&titles);
        for row in rows.as_array().into_iter().flatten() {
            table.add_row(columns.iter().map(|(_, pointer)| cell(row.pointer(pointer))));
        }
        print(&table.to_string());
        Ok(())
    }
}

/// A value for a table: objects without what is left open.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(map)) => {
            let said = |v: &Value| {
                !v.is_null()
                    && *v != Value::Array(Vec::new())
                    && v.as_u64() != Some(0)
                    && v.as_str() != Some("")
            };
            let shown = map.iter().filter(|(f, v)| f.as_str() != "effect" && said(v));
            shown
                .map(|(f, v)| if f == "type" { cell(Some(v)) } else { format!("{f}={}", cell(Some(v))) })
                .collect::<Vec<_>>()
                .join(" ")
        }
        Some(Value::Array(list)) => list.iter().map(|v| cell(Some(v))).collect::<Vec<_>>().join(","),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        add: Add,
    }

    fn faults(words: &[&str]) -> Result<Vec<Armed>> {
        let line = Line::try_parse_from([&["add"], words].concat());
        line.map_err(|e| Failure::new(Exit::BadInput, e))?.add.faults()
    }

    #[test]
    fn every_effect_is_explained_and_its_example_works() {
        let unknown = r#"{"effect":{"type":"no such effect"}}"#;
        let error = serde_json::from_str::<Armed>(unknown).unwrap_err().to_string();
        let known: Vec<&str> =
            error.split_once("expected").unwrap().1.split('`').skip(1).step_by(2).collect();
        let explained: Vec<&str> = EFFECTS.iter().map(|e| e.name).collect();
        assert_eq!(explained, known);
        for effect in EFFECTS {
            let words: Vec<&str> = effect.example.split_whitespace().collect();
            let [fault] = &faults(&words).unwrap_or_else(|e| panic!("{}: {e:?}", effect.example))[..] else {
                panic!("{}", effect.example);
            };
            fault.check().unwrap();
        }
    }

    #[test]
    fn mistakes_are_told_with_what_would_be_right() {
        for (words, told) in [
            (&["eror"][..], "did you mean `error`?"),
            (&["delay", "millis"], "NAME=VALUE"),
            (&["delay", "mills=3"], "delay millis="),
            (&["delay"], "missing field `millis`"),
            (&["--fault", "{"], "--fault"),
            (&["delay", "millis=3", "--plane", "s4"], "s4"),
            (&[], "EFFECT"),
        ] {
            let error = faults(words).unwrap_err();
            assert!(error.exit == Exit::BadInput && error.text.contains(told), "{words:?}: {}", error.text);
        }
    }

    #[test]
    fn scope_becomes_fields() {
        let words = [
            "reset_before_body",
            "--operation",
            "PutObject",
            "--operation",
            "UploadPart",
            "--vip",
            "127.0.0.12",
            "--bucket",
            "b",
            "--key-prefix",
            "k/",
            "--skip",
            "1",
            "--times",
            "2",
        ];
        let wanted = Armed::s3(vast_sim::Effect::ResetBeforeBody)
            .on("PutObject")
            .on("UploadPart")
            .vip("127.0.0.12")
            .bucket("b")
            .key_prefix("k/")
            .skip(1)
            .times(2);
        assert_eq!(faults(&words).unwrap(), [wanted]);
    }
}
