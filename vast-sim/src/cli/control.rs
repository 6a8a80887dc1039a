//! `vast-sim reset`, `clock`, `features` and `vips`: a running cluster as a whole.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::remote::Remote;
use super::{Exit, Failure, Result, print, print_json, table};

pub(crate) const CLOCK_HELP: &str = "Examples:
  vast-sim clock                 what time it is in the cluster
  vast-sim clock advance 36h     a day and a half passes at once, with everything that is due in it";

pub(crate) const RESET_HELP: &str = "Examples:
  vast-sim reset           back to what the cluster was when it was started, as its description says
  vast-sim reset --json    the same, and the cluster's time as JSON";

pub(crate) const VIPS_HELP: &str = "Examples:
  vast-sim vips
  vast-sim vips --json | jq -r '.[] | select(.state == \"serving\") | .ip'";

pub(crate) const FEATURES_HELP: &str = "Examples:
  vast-sim features                                       what is off
  vast-sim features off conditional_writes=ignored part_copy=refused
  vast-sim features on                                    all are on again";

/// Arguments of `reset`.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    #[command(flatten)]
    show: Show,
}

impl Reset {
    pub(crate) fn run(&self) -> Result<Exit> {
        let cluster = self.show.remote.connect()?;
        cluster.call("POST", "/sim/v1/reset", None)?;
        let mut done = cluster.call("GET", "/sim/v1/clock", None)?;
        done["reset"] = true.into();
        self.show.show(&done, |done| {
            let now = done["now"].as_str().unwrap_or_default();
            format!(
                "reset: data, faults, sessions and counters are as at the start; the cluster's time is {now}"
            )
        })
    }
}

/// Arguments of `clock`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Clock {
    #[command(subcommand)]
    order: Option<ClockOrder>,
    #[command(flatten)]
    show: Show,
}

#[derive(Debug, Subcommand)]
enum ClockOrder {
    /// Let time pass at once
    Advance {
        /// How much: a number with ms, s, m, h or d
        by: String,
        #[command(flatten)]
        show: Show,
    },
}

/// What commands that only show something take.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    remote: Remote,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Show {
    fn show(&self, answer: &Value, text: impl FnOnce(&Value) -> String) -> Result<Exit> {
        if self.json {
            print_json(answer)?;
        } else {
            print(&text(answer));
        }
        Ok(Exit::Done)
    }
}

/// Milliseconds of `90s`, `36h`, `2d`.
fn milliseconds(text: &str) -> Result<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match &text[end..] {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let number = text[..end].parse::<u64>().ok();
    number.zip(factor).and_then(|(n, factor)| n.checked_mul(factor)).ok_or_else(|| {
        let told = format_args!("{text:?} is no time; a number with ms, s, m, h or d is needed, as in 36h");
        Failure::new(Exit::BadInput, told)
    })
}

impl Clock {
    pub(crate) fn run(self) -> Result<Exit> {
        let (answer, show) = match self.order {
            None => (self.show.remote.connect()?.call("GET", "/sim/v1/clock", None)?, self.show),
            Some(ClockOrder::Advance { by, show }) => {
                let body = json!({ "advance_ms": milliseconds(&by)? });
                (show.remote.connect()?.call("POST", "/sim/v1/clock", Some(&body))?, show)
            }
        };
        show.show(&answer, |a| a["now"].as_str().unwrap_or_default().to_owned())
    }
}

/// Arguments of `features`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Features {
    #[command(subcommand)]
    order: Option<FeaturesOrder>,
    #[command(flatten)]
    show: Show,
}

#[derive(Debug, Subcommand)]
enum FeaturesOrder {
    /// Switch these off, beside those that are
    Off {
        /// FEATURE=refused or FEATURE=ignored
        #[arg(value_name = "FEATURE=HOW", required = true)]
        features: Vec<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Switch these on again; all when none is named
    On {
        /// Their names
        #[arg(value_name = "FEATURE")]
        features: Vec<String>,
        #[command(flatten)]
        remote: Remote,
    },
}

const FEATURES: &str = "/sim/v1/features";

impl Features {
    pub(crate) fn run(self) -> Result<Exit> {
        match self.order {
            None => {
                let off = self.show.remote.connect()?.call("GET", FEATURES, None)?;
                self.show.show(&off, |off| {
                    let mut table = table(&["feature", "how it is off"]);
                    for (feature, how) in off.as_object().into_iter().flatten() {
                        table.add_row([feature.as_str(), how.as_str().unwrap_or_default()]);
                    }
                    table.to_string()
                })
            }
            Some(FeaturesOrder::Off { features, remote }) => change(&remote, |off| {
                for feature in &features {
                    let (name, how) = feature.split_once('=').ok_or_else(|| {
                        let told = format_args!("{feature:?}: FEATURE=refused or FEATURE=ignored is needed");
                        Failure::new(Exit::BadInput, told)
                    })?;
                    off.insert(name.to_owned(), how.into());
                }
                Ok(())
            }),
            Some(FeaturesOrder::On { features, remote }) => change(&remote, |off| {
                off.retain(|name, _| !features.is_empty() && !features.contains(name));
                Ok(())
            }),
        }
    }
}

fn change(remote: &Remote, how: impl FnOnce(&mut Map<String, Value>) -> Result<()>) -> Result<Exit> {
    let cluster = remote.connect()?;
    let mut off = cluster.call("GET", FEATURES, None)?.as_object().cloned().unwrap_or_default();
    how(&mut off)?;
    cluster.call("PUT", FEATURES, Some(&off.into()))?;
    Ok(Exit::Done)
}

/// Arguments of `vips`.
#[derive(Debug, Args)]
pub(crate) struct Vips {
    #[command(flatten)]
    show: Show,
}

impl Vips {
    pub(crate) fn run(&self) -> Result<Exit> {
        let vips = self.show.remote.connect()?.call("GET", "/sim/v1/vips", None)?;
        self.show.show(&vips, |vips| {
            const COLUMNS: [&str; 4] = ["ip", "pool", "cnode", "state"];
            let mut table = table(&COLUMNS);
            for vip in vips.as_array().into_iter().flatten() {
                table.add_row(COLUMNS.map(|c| vip[c].as_str().unwrap_or_default()));
            }
            table.to_string()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, ms) in
            [("250ms", 250), ("90s", 90_000), ("5m", 300_000), ("36h", 129_600_000), ("1d", 86_400_000)]
        {
            assert_eq!(milliseconds(text).unwrap(), ms);
        }
        for bad in ["", "5", "h", "-1s", "1.5h", "99999999999999999999d", "5 m"] {
            assert_eq!(milliseconds(bad).unwrap_err().exit, Exit::BadInput, "{bad}");
        }
    }
}
