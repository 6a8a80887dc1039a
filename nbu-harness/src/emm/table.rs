//! A table of the database: records by name, with errors that name the nearest.

use super::error::{EmmError, Kind};
use crate::nearest::nearest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest name in bytes.
const MAX_NAME: usize = 127;

/// Records by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Table<T>(BTreeMap<String, T>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Table<T> {
    /// Records in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.values()
    }

    /// A record; `None` if there is none of that name.
    pub fn find(&self, name: &str) -> Option<&T> {
        self.0.get(name)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.values_mut()
    }

    pub(super) fn get(&self, kind: Kind, name: &str) -> Result<&T, EmmError> {
        self.0.get(name).ok_or_else(|| self.no_such(kind, name))
    }

    pub(super) fn get_mut(&mut self, kind: Kind, name: &str) -> Result<&mut T, EmmError> {
        if !self.0.contains_key(name) {
            return Err(self.no_such(kind, name));
        }
        self.0.get_mut(name).ok_or_else(|| EmmError::NoSuch { kind, name: name.into(), nearest: None })
    }

    pub(super) fn add(&mut self, kind: Kind, name: &str, record: T) -> Result<(), EmmError> {
        if self.0.contains_key(name) {
            return Err(EmmError::Exists { kind, name: name.into() });
        }
        self.0.insert(name.into(), record);
        Ok(())
    }

    pub(super) fn put(&mut self, name: &str, record: T) {
        self.0.insert(name.into(), record);
    }

    pub(super) fn remove(&mut self, kind: Kind, name: &str) -> Result<T, EmmError> {
        self.0.remove(name).ok_or_else(|| self.no_such(kind, name))
    }

    pub(super) fn no_such(&self, kind: Kind, name: &str) -> EmmError {
        let nearest = nearest(name, self.0.keys().map(String::as_str)).map(str::to_owned);
        EmmError::NoSuch { kind, name: name.into(), nearest }
    }
}

/// A name that an administrator gives.
pub(super) fn checked_name(kind: Kind, name: &str) -> Result<(), EmmError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('-') || !name.chars().all(good) {
        return Err(EmmError::bad(
            format!("as the name of a {kind}"),
            &name,
            "letters, digits, '.', '_', '+' and, not at the beginning, '-'; 127 at most",
        ));
    }
    Ok(())
}
