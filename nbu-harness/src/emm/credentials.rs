//! What media servers open storage servers with, and the rules for it.

use super::Database;
use super::error::{EmmError, Kind};
use super::model::{Credentials, credentials_key};
use super::table::Table;
use serde::{Deserialize, Serialize};

/// Credentials by media server and storage server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialStore(Table<Credentials>);

impl CredentialStore {
    /// Credentials in the order of media server and storage server.
    pub fn iter(&self) -> impl Iterator<Item = &Credentials> {
        self.0.iter()
    }

    /// What a media server opens a storage server with.
    ///
    /// # Errors
    /// When there are none.
    pub fn get(&self, media_server: &str, storage_server: &str) -> Result<&Credentials, EmmError> {
        self.0.get(Kind::Credentials, &credentials_key(media_server, storage_server))
    }

    /// Adds credentials for a media server and a storage server of the database.
    ///
    /// # Errors
    /// When there is no such media server or storage server, or there are credentials already.
    pub fn add(&mut self, database: &Database, credentials: Credentials) -> Result<(), EmmError> {
        database.media_server(&credentials.media_server)?;
        database.storage_server(&credentials.storage_server)?;
        self.0.add(Kind::Credentials, &credentials.key(), credentials)
    }

    /// Changes credentials that are there.
    ///
    /// # Errors
    /// When there are none.
    pub fn update(&mut self, credentials: Credentials) -> Result<(), EmmError> {
        let key = credentials.key();
        *self.0.get_mut(Kind::Credentials, &key)? = credentials;
        Ok(())
    }

    /// Takes credentials out, only those of `user` if one is named.
    ///
    /// # Errors
    /// When there are none, or they are another user's.
    pub fn remove(
        &mut self,
        media_server: &str,
        storage_server: &str,
        user: Option<&str>,
    ) -> Result<Credentials, EmmError> {
        let (key, held) =
            (credentials_key(media_server, storage_server), self.get(media_server, storage_server)?);
        if let Some(user) = user.filter(|user| *user != held.user) {
            let what = format!("as the user of the {} {key}", Kind::Credentials);
            return Err(EmmError::bad(what, &user, format!("it has user {}", held.user)));
        }
        self.0.remove(Kind::Credentials, &key)
    }
}
