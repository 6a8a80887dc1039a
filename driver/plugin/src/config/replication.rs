//! Who replicates to whom: the partners of each LSU, as the configuration file names them.

use std::collections::BTreeMap;
use std::fmt;

use ost_abi::{STS_MAX_LSUNAME, STS_MAX_REP, STS_MAX_STSNAME};
use serde::{Deserialize, Deserializer, de};

use super::{PREFIX, server_name};

/// An LSU of a server, written `VastData:server:lsu`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LsuRef {
    /// Server name without its type.
    pub(crate) server: String,
    /// LSU name.
    pub(crate) lsu: String,
}

impl fmt::Display for LsuRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}:{}:{}", self.server, self.lsu)
    }
}

impl LsuRef {
    fn parse(text: &str) -> Option<Self> {
        let (typed, lsu) = text.rsplit_once(':')?;
        let server = std::str::from_utf8(server_name(typed.as_bytes())?).ok()?;
        let fits = typed.len() < STS_MAX_STSNAME && lsu.len() < STS_MAX_LSUNAME;
        let whole = server.len() < typed.len() && !server.is_empty() && !lsu.is_empty();
        (fits && whole).then(|| Self { server: server.to_owned(), lsu: lsu.to_owned() })
    }
}

impl<'de> Deserialize<'de> for LsuRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format_args!("{text:?} names no LSU; write \"{PREFIX}:server:lsu\""))
        })
    }
}

/// The partners of the LSUs of one server, in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Partners(BTreeMap<String, Vec<LsuRef>>);

impl Partners {
    /// Those of an LSU, in the order in which they are written.
    pub(crate) fn of(&self, lsu: &str) -> &[LsuRef] {
        self.0.get(lsu).map_or(&[], Vec::as_slice)
    }

    /// Every LSU that has any, with them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Vec<LsuRef>)> {
        self.0.iter()
    }

    /// Adds a partner unless it is there, or there are too many to tell the host of.
    pub(super) fn add(&mut self, lsu: &str, partner: LsuRef) {
        let partners = self.0.entry(lsu.to_owned()).or_default();
        if !partners.contains(&partner) && partners.len() < STS_MAX_REP {
            partners.push(partner);
        }
    }
}

impl<'de> Deserialize<'de> for Partners {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let partners = BTreeMap::<String, Vec<LsuRef>>::deserialize(deserializer)?;
        if let Some((lsu, _)) = partners.iter().find(|(_, partners)| partners.len() > STS_MAX_REP) {
            let message = format_args!("{lsu} has more than {STS_MAX_REP} replication partners");
            return Err(de::Error::custom(message));
        }
        Ok(Self(partners))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lsu_of_a_server_is_written_with_its_type() {
        let parsed = LsuRef::parse("VastData:vast2:lsu-b").unwrap();
        assert_eq!((parsed.server.as_str(), parsed.lsu.as_str()), ("vast2", "lsu-b"));
        assert_eq!(parsed.to_string(), "VastData:vast2:lsu-b");
        for wrong in
            ["vast2:lsu-b", "PureDisk:vast2:lsu-b", "VastData:vast2:", "VastData::lsu-b", "lsu-b", ""]
        {
            assert_eq!(LsuRef::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn more_partners_than_the_interface_can_tell_are_refused() {
        let list = vec!["\"VastData:vast2:lsu\""; STS_MAX_REP + 1].join(", ");
        let error = toml::from_str::<Partners>(&format!("lsu-a = [{list}]")).unwrap_err().to_string();
        assert!(error.contains("lsu-a") && error.contains("16"), "{error}");
    }
}
