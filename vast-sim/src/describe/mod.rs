//! Descriptions: a whole cluster in one TOML file, with mistakes told by line, and brought about by VMS's own calls.

mod apply;
mod check;
mod local;
mod mistake;
mod objects;
mod place;
mod rehearsal;
mod settings;
mod settle;
mod values;

pub use apply::{ApplyError, CallError, Done, Outcome, Target};
pub(crate) use local::again;
pub use mistake::{Mistake, nearest};
pub use objects::{Description, Fields, Keys, Name, Object, Policy, Quota, Tenant, User, View, VipPool};
pub use rehearsal::Unrehearsed;
pub use settings::{ClockKind, Etag, Kept, Settings, V2};
pub use settle::{Unsettled, settle};
pub use values::{Answer, Seconds, Size};

/// A description with the text it was read from, so that later mistakes can be shown in place.
#[derive(Debug, Clone)]
pub struct Described {
    /// What it says.
    pub description: Description,
    file: String,
    text: String,
}

impl Described {
    /// Reads a description. `file` names it in mistakes.
    ///
    /// # Errors
    /// The first mistake: TOML that is none, keys and values that do not exist, faults that make no sense, names given
    /// twice.
    pub fn read(file: &str, text: String) -> Result<Self, Mistake> {
        let description: Description =
            toml::from_str(&text).map_err(|e| Mistake::of_toml(file, &text, &e))?;
        let read = Self { description, file: file.to_owned(), text };
        check::itself(&read)?;
        Ok(read)
    }

    /// Checks that everything it refers to is in it or in every new cluster.
    ///
    /// # Errors
    /// The first name that nothing has.
    pub fn stands_alone(&self) -> Result<(), Mistake> {
        check::references(self)
    }

    fn mistake(&self, place: std::ops::Range<usize>, message: String, help: Option<String>) -> Mistake {
        Mistake::at(&self.file, &self.text, place, message, help)
    }
}
