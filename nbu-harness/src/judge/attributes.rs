//! What the commands recorded of the storage server, against what was to be recorded.

use super::{Finding, listed};
use crate::engine::Record;
use crate::scenario::AttributeExpectation;

/// The flags and the version after a step, of the storage server and of every disk pool.
pub(super) fn recorded(record: &Record, expected: &AttributeExpectation) -> Finding {
    let aspect = "attributes";
    let AttributeExpectation { step, version, has, lacks } = expected;
    let Some(found) = record.attributes.iter().find(|one| one.step == *step) else {
        return Finding::new(aspect, false, format!("nothing was recorded in step {step}"));
    };
    let mut wrong = Vec::new();
    if let Some(wanted) = version.as_ref().filter(|wanted| **wanted != found.version) {
        wrong.push(format!("after step {step} the version is {}, expected {wanted}", found.version));
    }
    let server = ("the storage server", &found.server);
    for (whose, flags) in
        [server].into_iter().chain(found.pools.iter().map(|(name, flags)| (name.as_str(), flags)))
    {
        let missing = has.iter().filter(|flag| !flags.contains(flag));
        wrong.extend(missing.map(|flag| format!("after step {step} {whose} lacks the flag {flag}")));
        let surplus = lacks.iter().filter(|flag| flags.contains(flag));
        wrong.extend(surplus.map(|flag| format!("after step {step} {whose} has the flag {flag}")));
    }
    let detail = if wrong.is_empty() {
        format!("after step {step}: version {}, {}", found.version, found.server.join(", "))
    } else {
        listed(&wrong)
    };
    Finding::new(aspect, wrong.is_empty(), detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::RecordedAttributes;
    use crate::judge::tests::good;

    #[test]
    fn version_and_flags_of_the_server_and_of_each_pool_are_what_was_expected() {
        let mut record = good();
        let flags = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        record.attributes = vec![RecordedAttributes {
            step: 2,
            version: "0.0.9".into(),
            server: flags(&["CopyImage"]),
            pools: [("pool0".to_owned(), flags(&["CopyImage", "WORM"]))].into(),
        }];
        let judged = |step, version: Option<&str>, has: &[&str], lacks: &[&str]| {
            let (has, lacks) = (flags(has), flags(lacks));
            recorded(&record, &AttributeExpectation { step, version: version.map(str::to_owned), has, lacks })
        };
        assert!(judged(2, Some("0.0.9"), &["CopyImage"], &["OptimizedImage"]).holds);
        let fails = |finding: Finding, says: &str| {
            assert!(!finding.holds && finding.detail.contains(says), "{finding:?}");
        };
        fails(judged(2, Some("1.0.0"), &[], &[]), "the version is 0.0.9");
        fails(judged(2, None, &["WORM"], &[]), "the storage server lacks the flag WORM");
        fails(judged(2, None, &[], &["WORM"]), "pool0 has the flag WORM");
        fails(judged(1, None, &[], &[]), "nothing was recorded in step 1");
    }
}
