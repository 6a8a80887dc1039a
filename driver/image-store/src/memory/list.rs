//! Listings in memory: objects, beginnings of keys, versions, uploads, each in pages.

use super::bucket::Bucket;
use super::version::VersionId;
use crate::object_store::{
    GroupPage, Listed, ListedUpload, ListedVersion, Page, StoreError, UploadPage, UploadsNext, VersionPage,
    VersionsNext,
};

/// The first `size` of what was found, and whether there is more.
fn cut<T>(mut found: impl Iterator<Item = T>, size: usize) -> (Vec<T>, bool) {
    let page: Vec<T> = found.by_ref().take(size).collect();
    let more = found.next().is_some();
    (page, more)
}

impl Bucket {
    pub(super) fn list(&self, prefix: &str, next: Option<&str>) -> Page {
        let found = self
            .versions
            .currents_from(next.map_or(prefix, |next| next.max(prefix)))
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(key, _)| next.is_none_or(|next| *key > next))
            .map(|(key, object)| Listed {
                key: key.to_owned(),
                size: object.len(),
                modified: object.modified,
            });
        let (objects, more) = cut(found, self.page_size());
        let next = objects.last().filter(|_| more).map(|last| last.key.clone());
        Page { objects, next }
    }

    pub(super) fn list_groups(&self, prefix: &str, next: Option<&str>) -> GroupPage {
        let mut groups: Vec<String> = self
            .versions
            .currents_from(prefix)
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter_map(|(key, _)| {
                let end = prefix.len() + key[prefix.len()..].find('/')? + 1;
                Some(key[..end].to_owned())
            })
            .filter(|group| next.is_none_or(|next| group.as_str() > next))
            .collect();
        groups.dedup();
        let (groups, more) = cut(groups.into_iter(), self.page_size());
        let next = groups.last().filter(|_| more).cloned();
        GroupPage { groups, next }
    }

    pub(super) fn list_versions(
        &self,
        prefix: &str,
        next: Option<&VersionsNext>,
    ) -> Result<VersionPage, StoreError> {
        if self.lacks.version_listing {
            return Err(StoreError::Unsupported("listings of versions are switched off".to_owned()));
        }
        let behind = |key: &str, id: VersionId| {
            next.is_none_or(|next| {
                // Older versions have smaller ids, whether or not the one that the page ended at is still there.
                let older = next.version.as_deref().and_then(VersionId::parse).is_some_and(|at| id < at);
                key > next.key.as_str() || (key == next.key && older)
            })
        };
        let found = self
            .versions
            .from(prefix)
            .take_while(|(key, ..)| key.starts_with(prefix))
            .filter(|(key, version, _)| behind(key, version.id))
            .map(|(key, version, latest)| ListedVersion {
                key: key.to_owned(),
                version: version.id.text(),
                latest,
                delete_marker: version.data.is_none(),
                size: version.len(),
                modified: version.modified,
            });
        let (versions, more) = cut(found, self.page_size());
        let next = versions.last().filter(|_| more);
        let next =
            next.map(|last| VersionsNext { key: last.key.clone(), version: Some(last.version.clone()) });
        Ok(VersionPage { versions, next })
    }

    pub(super) fn list_uploads(
        &self,
        prefix: &str,
        next: Option<&UploadsNext>,
    ) -> Result<UploadPage, StoreError> {
        if self.lacks.multipart {
            return Err(StoreError::Unsupported("multipart uploads are switched off".to_owned()));
        }
        let behind = |key: &str, upload: &str| {
            next.is_none_or(|next| {
                let later = next.upload.as_deref().is_some_and(|at| upload > at);
                key > next.key.as_str() || (key == next.key && later)
            })
        };
        if self.lacks.upload_listing {
            return Ok(UploadPage::default());
        }
        let found = self
            .uploads
            .range((prefix.to_owned(), String::new())..)
            .take_while(|((key, _), _)| key.starts_with(prefix))
            .filter(|((key, upload), _)| behind(key, upload))
            .map(|((key, upload), open)| ListedUpload {
                key: key.clone(),
                upload: upload.clone(),
                initiated: open.initiated,
            });
        let (uploads, more) = cut(found, self.page_size());
        let next = uploads.last().filter(|_| more);
        let next = next.map(|last| UploadsNext { key: last.key.clone(), upload: Some(last.upload.clone()) });
        Ok(UploadPage { uploads, next })
    }
}
