//! Faults at the plug-in's interface: as a scenario writes them, as the wrapping plug-in gets them, and in words.

use super::diagnostic::nearest;
use super::resolve::Problem;
use super::values::{ByteSize, Milliseconds};
use nbu_trace::orders::{FaultEffect, FaultOrder, OrderError, full_name};
use ost_abi::{ENTRY_POINTS, STS_ERRORS};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// The processes that load the plug-in.
const PROCESSES: [&str; 2] = ["bptm", "bpdm"];
/// The signals that people end processes with.
const SIGNALS: [(&str, i32); 6] = [
    ("SIGKILL", libc::SIGKILL),
    ("SIGSEGV", libc::SIGSEGV),
    ("SIGABRT", libc::SIGABRT),
    ("SIGBUS", libc::SIGBUS),
    ("SIGFPE", libc::SIGFPE),
    ("SIGILL", libc::SIGILL),
];

/// The step `plugin_fault`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PluginFaultFile {
    call: String,
    effect: EffectFile,
    #[serde(default)]
    skip: u64,
    #[serde(default = "once")]
    times: u64,
    process: Option<String>,
}

const fn once() -> u64 {
    1
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum EffectFile {
    Error(#[schemars(schema_with = "code_schema")] ErrorCode),
    Short(ByteSize),
    Delay(Milliseconds),
    Hang,
    Busy,
    StaleHandle,
    Crash(#[schemars(schema_with = "signal_schema")] Signal),
    Corrupt(u64),
}

fn code_schema(_: &mut SchemaGenerator) -> Schema {
    let symbols: Vec<&str> = STS_ERRORS.iter().map(|error| error.symbol).collect();
    json_schema!({ "description": "An error code, by its symbol or number.", "anyOf": [{ "enum": symbols }, { "type": "integer" }] })
}

fn signal_schema(_: &mut SchemaGenerator) -> Schema {
    let names = SIGNALS.map(|(name, _)| name);
    json_schema!({ "description": "The signal that ends the process.", "enum": names })
}

/// A code by its number or symbol.
#[derive(Debug)]
struct ErrorCode(i32);

/// A signal by its name.
#[derive(Debug)]
struct Signal(i32);

struct CodeVisitor;

impl Visitor<'_> for CodeVisitor {
    type Value = ErrorCode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error code such as STS_EPLUGIN or 2060046")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ErrorCode, E> {
        let by_symbol = STS_ERRORS.iter().find(|error| error.symbol == text).map(|error| error.code);
        let code = by_symbol.or_else(|| text.parse().ok());
        code.map(ErrorCode).ok_or_else(|| {
            let symbols: Vec<&str> = STS_ERRORS.iter().map(|error| error.symbol).collect();
            E::custom(format!("`{text}` is no error code; {}", nearest("code", text, &symbols)))
        })
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<ErrorCode, E> {
        i32::try_from(number).map(ErrorCode).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<ErrorCode, E> {
        i32::try_from(number).map(ErrorCode).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CodeVisitor)
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        SIGNALS.iter().find(|(name, _)| *name == text).map(|(_, number)| Self(*number)).ok_or_else(|| {
            let names = SIGNALS.map(|(name, _)| name);
            de::Error::custom(format!("`{text}` is no signal; {}", nearest("signal", &text, &names)))
        })
    }
}

/// The order for the wrapping plug-in.
pub(super) fn resolve(step: Spanned<PluginFaultFile>) -> Result<FaultOrder, Problem> {
    let place = step.referenced;
    let file = step.value;
    if let Some(process) = file.process.as_deref().filter(|name| !PROCESSES.contains(name)) {
        let message = format!("`{process}` does not load the plug-in");
        return Err(Problem::new(place, message, nearest("process", process, &PROCESSES)));
    }
    let effect = match file.effect {
        EffectFile::Error(ErrorCode(code)) => FaultEffect::Error(code),
        EffectFile::Short(ByteSize(bytes)) => FaultEffect::Short(bytes),
        EffectFile::Delay(Milliseconds(ms)) => FaultEffect::Delay(ms),
        EffectFile::Hang => FaultEffect::Hang,
        EffectFile::Busy => FaultEffect::Busy,
        EffectFile::StaleHandle => FaultEffect::StaleHandle,
        EffectFile::Crash(Signal(signal)) => FaultEffect::Crash(signal),
        EffectFile::Corrupt(bit) => FaultEffect::Corrupt(bit),
    };
    let order = FaultOrder {
        id: 0,
        call: full_name(&file.call),
        effect,
        skip: file.skip,
        times: file.times,
        process: file.process,
    };
    match order.check() {
        Ok(()) => Ok(order),
        Err(error @ OrderError::NoSuchCall(_)) => {
            let help = nearest("call", &order.call, ENTRY_POINTS);
            Err(Problem::new(place, error.to_string(), help))
        }
        Err(error @ OrderError::NotForThisCall { .. }) => {
            Err(Problem::new(place, error.to_string(), "choose another effect or another call"))
        }
        Err(error @ OrderError::Never) => {
            Err(Problem::new(place, error.to_string(), "expected `times` of at least 1"))
        }
    }
}

/// A fault in words: a sentence.
pub(super) fn tell(order: &FaultOrder) -> String {
    let what = match order.effect {
        FaultEffect::Error(code) => match ost_abi::sts_error(code) {
            Some(error) => format!("answers {} ({})", error.symbol, error.text),
            None => format!("answers {code}, which is no error code"),
        },
        FaultEffect::Short(bytes) => format!("moves no more than {}", ByteSize(bytes)),
        FaultEffect::Delay(ms) => format!("comes {ms} ms late"),
        FaultEffect::Hang => "never returns".to_owned(),
        FaultEffect::Busy => "answers STS_EBUSY".to_owned(),
        FaultEffect::StaleHandle => "meets a handle that was closed".to_owned(),
        FaultEffect::Crash(signal) => {
            let name =
                SIGNALS.iter().find(|(_, number)| *number == signal).map_or("a signal", |(name, _)| name);
            format!("ends its process by {name}")
        }
        FaultEffect::Corrupt(bit) => format!("gives bit {bit} wrong"),
    };
    let process = order.process.as_deref().unwrap_or("each process");
    let first = if order.skip > 0 { format!("after {} of them ", order.skip) } else { String::new() };
    let times = if order.times == 1 { "one".to_owned() } else { format!("each of {}", order.times) };
    format!("From now on, of the calls of {} in {process}, {first}{times} {what}.", order.entry_point())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<FaultOrder, String> {
        let yaml = format!(
            "scenario: NBU-ABI-900\ntitle: t\nstorage: {{lsus: [{{name: lsu0}}], units: [{{label: s, lsu: lsu0}}]}}\n\
             policy: {{name: p, storage: s}}\nselections: [GEN_DATA]\nrun:\n  - plugin_fault: {text}\n"
        );
        match super::super::parse("a.yaml", &yaml) {
            Ok(scenario) => match &scenario.run[0] {
                super::super::Step::PluginFault(order) => Ok(order.clone()),
                other => panic!("{other:?}"),
            },
            Err(error) => Err(error.render(false)),
        }
    }

    #[test]
    fn every_effect_is_read_and_told() {
        for (text, effect, told) in [
            ("{error: STS_ENOSPC}", FaultEffect::Error(ost_abi::STS_ENOSPC), "answers STS_ENOSPC"),
            ("{error: 2060001}", FaultEffect::Error(2_060_001), "answers STS_EINVAL"),
            ("{error: 227}", FaultEffect::Error(227), "answers 227, which is no error code"),
            ("{short: 64k}", FaultEffect::Short(65_536), "moves no more than 64 KiB"),
            ("{delay: 2s}", FaultEffect::Delay(2000), "comes 2000 ms late"),
            ("hang", FaultEffect::Hang, "never returns"),
            ("busy", FaultEffect::Busy, "answers STS_EBUSY"),
            ("stale_handle", FaultEffect::StaleHandle, "a handle that was closed"),
            ("{crash: SIGSEGV}", FaultEffect::Crash(11), "ends its process by SIGSEGV"),
        ] {
            let order =
                read(&format!("{{call: write_image, effect: {text}, skip: 3, process: bptm}}")).unwrap();
            assert_eq!((order.effect, order.skip, order.times), (effect, 3, 1), "{text}");
            let sentence = tell(&order);
            assert!(sentence.contains(told) && sentence.contains("stspi_write_image in bptm"), "{sentence}");
        }
        let order = read("{call: read_image, effect: {corrupt: 100}, times: 5}").unwrap();
        assert_eq!(
            (order.effect, order.times, order.process.as_deref()),
            (FaultEffect::Corrupt(100), 5, None)
        );
    }

    #[test]
    fn mistakes_are_answered_with_what_would_be_right() {
        for (text, said) in [
            ("{call: write_imag, effect: hang}", "did you mean `stspi_write_image`?"),
            ("{call: claim, effect: {short: 1k}}", "choose another effect"),
            ("{call: claim, effect: hang, times: 0}", "at least 1"),
            ("{call: claim, effect: hang, process: bpbrm}", "does not load the plug-in"),
            ("{call: claim, effect: {error: STS_EPLUGN}}", "did you mean `STS_EPLUGIN`?"),
            ("{call: claim, effect: {crash: SIGKIL}}", "did you mean `SIGKILL`?"),
            ("{call: claim, effect: explode}", "stale_handle"),
            ("{call: claim, effect: hang, tims: 0}", "did you mean `times`?"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
