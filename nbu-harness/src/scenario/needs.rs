//! What a scenario needs of the storage server: flags as `nbdevquery -liststs` shows them, or capabilities by the names of
//! the interface. One that the plug-in does not claim makes no verdict: the scenario is skipped.

use super::diagnostic::nearest;
use super::resolve::Problem;
use crate::emm::Settings;
use ost_abi::STS_CAPABILITIES;
use serde_saphyr::Spanned;

/// The capability that a flag or a name stands for; none for what stands for none.
fn capability(name: &str) -> Option<&'static str> {
    let flag = || Settings::default().flags.into_iter().find(|rule| rule.flag == name)?.capability;
    let row = STS_CAPABILITIES.iter().find(|row| row.name == name);
    row.or_else(|| flag().and_then(|index| STS_CAPABILITIES.iter().find(|row| row.index == index)))
        .map(|row| row.name)
}

/// Checks the names, and that the scenario does not take away what it needs.
pub(super) fn resolve(needs: Vec<Spanned<String>>, disabled: &[String]) -> Result<Vec<String>, Problem> {
    let mut checked = Vec::new();
    for need in needs {
        let Some(capability) = capability(&need.value) else {
            let flags = Settings::default().flags.into_iter().filter(|rule| rule.capability.is_some());
            let flags: Vec<String> = flags.map(|rule| rule.flag).collect();
            let known: Vec<&str> = flags.iter().map(String::as_str).collect();
            let message = format!("`{}` is no flag of a storage server, nor a capability", need.value);
            return Err(Problem::new(need.referenced, message, nearest("flag", &need.value, &known)));
        };
        if disabled.iter().any(|name| name == capability) {
            let message = format!("the scenario needs {capability} and takes it away");
            return Err(Problem::new(need.referenced, message, "leave it out here or in `disable`"));
        }
        checked.push(need.value);
    }
    Ok(checked)
}

/// Which of these needs a plug-in that claims these capabilities does not meet.
pub(crate) fn not_claimed<'n>(needs: &'n [String], claims: &[String]) -> Vec<&'n str> {
    let met = |need: &&str| capability(need).is_some_and(|name| claims.iter().any(|claim| claim == name));
    needs.iter().map(String::as_str).filter(|need| !met(need)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_names_of_capabilities_are_needs_and_what_is_not_claimed_is_named() {
        assert_eq!(capability("OptimizedImage"), Some("include"));
        assert_eq!(capability("Cpr"), Some("checkpoint"));
        assert_eq!(capability("copy_image"), Some("copy_image"));
        // Every storage server has it: nothing depends on it.
        assert_eq!(capability("OpenStorage"), None);
        let needs = ["OptimizedImage", "CopyImage", "Cpr"].map(str::to_owned);
        let claims = ["include", "flush"].map(str::to_owned);
        assert_eq!(not_claimed(&needs, &claims), ["CopyImage", "Cpr"]);
        assert!(not_claimed(&[], &[]).is_empty());
    }
}
