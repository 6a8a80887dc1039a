//! Which capabilities a server has: the interface's table, what this build can do, and what the administrator took away.
//!
//! A capability's bit is set in the server's properties if and only if its calls work. [`crate::boundary::guard`] and
//! the look-up of handles ask here, by the name of the call, so an entry point neither can nor has to do it itself.

use ost_abi::{
    CapabilityRow, STS_CAPABILITIES, STS_ENOTSUP, STS_SRV_CAP_WORDS, STS_SRVC_ASYNC_COPY,
    STS_SRVC_CHECKPOINT, STS_SRVC_COPY_EXTENT, STS_SRVC_COPY_IMAGE, STS_SRVC_EVENTS, STS_SRVC_FLUSH,
    STS_SRVC_IMAGE_META, STS_SRVC_IMAGE_SET, STS_SRVC_INCLUDE_IN_IMAGE, STS_SRVC_LABEL_LSU,
    STS_SRVC_LSU_REPLICATION_PROP, STS_SRVC_NAMED_ASYNC_COPY, STS_SRVC_WORM,
};
use serde::{Deserialize, Deserializer, de};

use crate::fault::Fault;

/// What this build can do; a capability enters here together with the code behind its calls.
const OFFERED: Capabilities = Capabilities::of(&[
    STS_SRVC_CHECKPOINT,
    STS_SRVC_FLUSH,
    STS_SRVC_INCLUDE_IN_IMAGE,
    STS_SRVC_COPY_IMAGE,
    STS_SRVC_COPY_EXTENT,
    STS_SRVC_ASYNC_COPY,
    STS_SRVC_NAMED_ASYNC_COPY,
    STS_SRVC_EVENTS,
    STS_SRVC_LSU_REPLICATION_PROP,
    STS_SRVC_IMAGE_SET,
    STS_SRVC_IMAGE_META,
    STS_SRVC_LABEL_LSU,
    STS_SRVC_WORM,
]);

/// A set of capabilities, by their index in the interface's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capabilities([u32; STS_SRV_CAP_WORDS]);

impl Capabilities {
    const fn of(indexes: &[u32]) -> Self {
        let mut words = [0; STS_SRV_CAP_WORDS];
        let mut at = 0;
        while at < indexes.len() {
            words[(indexes[at] / 32) as usize] |= 1 << (indexes[at] % 32);
            at += 1;
        }
        Self(words)
    }

    /// Those of a server whose administrator took `disabled` away.
    pub(crate) fn except(disabled: &Disabled) -> Self {
        let mut left = OFFERED.0;
        for (word, taken) in left.iter_mut().zip(disabled.0.0) {
            *word &= !taken;
        }
        Self(left)
    }

    /// True if the capability of that index (`STS_SRVC_*`) is there.
    pub(crate) fn has(self, index: u32) -> bool {
        self.0.get((index / 32) as usize).is_some_and(|word| word >> (index % 32) & 1 == 1)
    }

    /// The words of `srv_cap`.
    pub(crate) fn words(self) -> [u32; STS_SRV_CAP_WORDS] {
        self.0
    }

    /// The `STS_SRV_*` flags that go with the capabilities.
    pub(crate) fn server_flags(self) -> u64 {
        let there = STS_CAPABILITIES.iter().filter(|row| self.has(row.index));
        there.fold(0, |flags, row| flags | row.server_flags)
    }

    /// `STS_ENOTSUP` if the call depends on capabilities of which none is there.
    pub(crate) fn require_for(self, call: &str) -> Result<(), Fault> {
        let mut missing = None;
        for row in STS_CAPABILITIES.iter().filter(|row| row.calls.contains(&call)) {
            if self.has(row.index) {
                return Ok(());
            }
            missing = Some(row);
        }
        missing.map_or(Ok(()), |row| Err(absent(row)))
    }

    /// `STS_ENOTSUP` without this capability: for what is no call of its own, such as a mode.
    pub(crate) fn require(self, index: u32) -> Result<(), Fault> {
        match STS_CAPABILITIES.get(index as usize) {
            Some(row) if !self.has(index) => Err(absent(row)),
            _ => Ok(()),
        }
    }
}

fn absent(row: &CapabilityRow) -> Fault {
    let why = if OFFERED.has(row.index) { "switched off by `disable`" } else { "not in this plug-in" };
    Fault::new(STS_ENOTSUP, format_args!("capability {} is {why}", row.name))
}

/// `STS_ENOTSUP` for a call that this build has nothing behind, whatever its arguments.
pub(crate) fn in_this_build(call: &str) -> Result<(), Fault> {
    OFFERED.require_for(call)
}

/// The capabilities that a configuration file takes away, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disabled(Capabilities);

impl Default for Disabled {
    fn default() -> Self {
        Self(Capabilities::of(&[]))
    }
}

impl<'de> Deserialize<'de> for Disabled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let indexes = names.iter().map(|name| {
            STS_CAPABILITIES.iter().find(|row| row.name == name).map(|row| row.index).ok_or_else(|| {
                let known: Vec<_> = STS_CAPABILITIES.iter().map(|row| row.name).collect();
                de::Error::custom(format_args!(
                    "unknown capability {name:?}; the capabilities are: {}",
                    known.join(", ")
                ))
            })
        });
        Ok(Self(Capabilities::of(&indexes.collect::<Result<Vec<_>, _>>()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ost_abi::{STS_SRV_STORED_EV, STS_SRVC_EVENTS, STS_SRVC_WRITE_IMAGE_RANDOM};

    fn disabled(list: &str) -> Result<Disabled, String> {
        #[derive(Deserialize)]
        struct Section {
            disable: Disabled,
        }
        toml::from_str::<Section>(&format!("disable = {list}"))
            .map(|section| section.disable)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn a_disabled_capability_has_no_bit_and_its_calls_one_code() {
        let all = Capabilities::except(&Disabled::default());
        assert!(all.has(STS_SRVC_FLUSH));
        all.require_for("stspi_flush_image").unwrap();
        let without = Capabilities::except(&disabled("[\"flush\", \"worm\"]").unwrap());
        assert!(!without.has(STS_SRVC_FLUSH) && without.has(STS_SRVC_CHECKPOINT));
        let fault = without.require_for("stspi_flush_image").unwrap_err();
        assert_eq!(fault.code, STS_ENOTSUP);
        assert!(fault.message.contains("flush") && fault.message.contains("disable"), "{}", fault.message);
        without.require_for("stspi_write_image").unwrap();
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_list() {
        let error = disabled("[\"incluude\"]").unwrap_err();
        assert!(error.contains("incluude") && error.contains("include, copy_image"), "{error}");
    }

    #[test]
    fn flags_follow_their_capability_and_random_writes_are_not_offered() {
        assert_eq!(Capabilities::of(&[]).server_flags(), 0);
        assert_ne!(Capabilities::of(&[STS_SRVC_EVENTS]).server_flags() & STS_SRV_STORED_EV, 0);
        assert!(!OFFERED.has(STS_SRVC_WRITE_IMAGE_RANDOM));
        assert!(!OFFERED.has(32 * 4));
    }

    #[test]
    fn a_call_of_two_capabilities_is_there_with_either() {
        let call = "stspi_async_wait";
        for index in [STS_SRVC_ASYNC_COPY, STS_SRVC_NAMED_ASYNC_COPY] {
            Capabilities::of(&[index]).require_for(call).unwrap();
        }
        assert_eq!(Capabilities::of(&[]).require_for(call).unwrap_err().code, STS_ENOTSUP);
    }
}
