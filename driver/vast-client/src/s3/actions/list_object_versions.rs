//! ListObjectVersions: one page of versions and delete markers.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::Deserialize;

use super::page::{VERSIONS, next_of_two};
use super::{Action, Again, Flaw, Outgoing, decoded, read_document};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;
use crate::s3::time::{ServerTime, timestamp};

/// A version or delete marker of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// The key, whole.
    pub key: String,
    /// Version id; `null` for an object of a bucket that keeps no versions.
    pub version: String,
    /// Whether it is the newest of its key.
    pub latest: bool,
    /// Whether it marks its key as deleted; the size is 0 then.
    pub delete_marker: bool,
    /// Size in bytes.
    pub size: u64,
    /// When it was made, in seconds since the epoch by the server's clock; `None` when the server does not say.
    pub modified: ServerTime,
}

/// Where a listing of versions goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionMarker {
    /// The key that the page ended at.
    pub key: String,
    /// The version that it ended at; `None` behind the last one of the key.
    pub version: Option<String>,
}

/// One page of versions, in key order; those of one key from the newest to the oldest, as far as the server tells
/// when they were made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionPage {
    /// At most 1,000 versions and delete markers.
    pub versions: Vec<ListedVersion>,
    /// Pass it to the next call; `None` on the last page.
    pub next: Option<VersionMarker>,
}

#[derive(Debug)]
pub(crate) struct ListObjectVersions<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) next: Option<&'a VersionMarker>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListVersionsResult {
    #[serde(default)]
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_version_id_marker: Option<String>,
    encoding_type: Option<String>,
    #[serde(rename = "Version", default)]
    versions: Vec<Entry>,
    #[serde(rename = "DeleteMarker", default)]
    delete_markers: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    version_id: String,
    #[serde(default)]
    is_latest: bool,
    #[serde(default)]
    size: u64,
    last_modified: Option<String>,
}

impl Entry {
    /// With the time that it was made, as finely as the server tells it.
    fn listed(
        self,
        delete_marker: bool,
        encoding: Option<&str>,
    ) -> std::result::Result<(Option<Timestamp>, ListedVersion), Flaw> {
        let made = self.last_modified.as_deref().and_then(|text| text.trim().parse().ok());
        let listed = ListedVersion {
            key: decoded(self.key, encoding)?,
            version: self.version_id,
            latest: self.is_latest,
            delete_marker,
            size: self.size,
            modified: self.last_modified.as_deref().and_then(timestamp),
        };
        Ok((made, listed))
    }
}

impl Action for ListObjectVersions<'_> {
    type Output = VersionPage;

    const OPERATION: Operation = Operation::ListObjectVersions;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        format!("LIST of versions of {bucket}/{}*", self.prefix)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let behind = self.next.map(|next| (next.key.as_str(), next.version.as_deref()));
        Ok(VERSIONS.page(bucket, self.prefix, behind))
    }

    fn parse(&self, answer: Answer) -> std::result::Result<VersionPage, Flaw> {
        let result: ListVersionsResult = read_document(&answer, "the listing of versions")?;
        let encoding = result.encoding_type.as_deref();
        let (key, version) = (result.next_key_marker, result.next_version_id_marker);
        let next = next_of_two(result.is_truncated, key, version, encoding)?;
        let next = next.map(|(key, version)| VersionMarker { key, version });
        let mut versions = Vec::with_capacity(result.versions.len() + result.delete_markers.len());
        for version in result.versions {
            versions.push(version.listed(false, encoding)?);
        }
        for marker in result.delete_markers {
            versions.push(marker.listed(true, encoding)?);
        }
        // Some servers tell of delete markers behind all versions. The sort is stable: where times are equal, the
        // order of the document stays.
        versions.sort_by(|(made, version), (other_made, other)| {
            let rank = (Reverse(version.latest), Reverse(made));
            version.key.cmp(&other.key).then_with(|| rank.cmp(&(Reverse(other.latest), Reverse(other_made))))
        });
        Ok(VersionPage { versions: versions.into_iter().map(|(_, version)| version).collect(), next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    const LIST: ListObjectVersions<'static> = ListObjectVersions { prefix: "a b/", next: None };

    #[test]
    fn prefix_and_markers_are_encoded() {
        assert_eq!(LIST.build("lsu").unwrap().target, "/lsu?versions=&encoding-type=url&prefix=a%20b%2F");
        let mut marker = VersionMarker { key: "a b/c".into(), version: Some("v=1".into()) };
        assert_eq!(
            ListObjectVersions { next: Some(&marker), ..LIST }.build("lsu").unwrap().target,
            "/lsu?versions=&encoding-type=url&prefix=a%20b%2F&key-marker=a%20b%2Fc&version-id-marker=v%3D1"
        );
        marker.version = None;
        let target = ListObjectVersions { next: Some(&marker), ..LIST }.build("lsu").unwrap().target;
        assert!(target.ends_with("&key-marker=a%20b%2Fc"), "{target}");
    }

    fn lines(page: &VersionPage) -> Vec<(&str, &str, bool, bool)> {
        let line = |v: &'_ ListedVersion| (v.latest, v.delete_marker);
        page.versions.iter().map(|v| (v.key.as_str(), v.version.as_str(), line(v).0, line(v).1)).collect()
    }

    #[test]
    fn versions_and_delete_markers_are_put_in_order() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>lsu</Name>
            <Prefix>a+b/</Prefix><KeyMarker/><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
            <NextKeyMarker>a+b/z</NextKeyMarker><NextVersionIdMarker>v9</NextVersionIdMarker>
            <Version><Key>a+b/%01</Key><VersionId>v3</VersionId><IsLatest>false</IsLatest>
            <LastModified>2009-10-12T17:50:30.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>7</Size></Version>
            <Version><Key>a+b/z</Key><VersionId>v9</VersionId><IsLatest>true</IsLatest><Size>1</Size></Version>
            <DeleteMarker><Key>a+b/%01</Key><VersionId>v2</VersionId><IsLatest>false</IsLatest>
            <LastModified>2009-10-12T17:50:29.000Z</LastModified></DeleteMarker>
            <DeleteMarker><Key>a+b/%01</Key><VersionId>v4</VersionId><IsLatest>true</IsLatest>
            <LastModified>2009-10-12T17:50:30.000Z</LastModified></DeleteMarker></ListVersionsResult>"#;
        let page = LIST.parse(answer(200, &[], xml)).unwrap();
        assert_eq!(
            lines(&page),
            [
                ("a b/\u{1}", "v4", true, true),
                ("a b/\u{1}", "v3", false, false),
                ("a b/\u{1}", "v2", false, true),
                ("a b/z", "v9", true, false),
            ]
        );
        assert_eq!((page.versions[1].size, page.versions[1].modified), (7, Some(1_255_369_830)));
        assert_eq!(page.next, Some(VersionMarker { key: "a b/z".into(), version: Some("v9".into()) }));
    }

    #[test]
    fn a_bucket_without_versions_has_null_ones() {
        let xml = "<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>a%20b</Key>\
            <VersionId>null</VersionId><IsLatest>true</IsLatest></Version></ListVersionsResult>";
        let page = LIST.parse(answer(200, &[], xml)).unwrap();
        assert_eq!(lines(&page), [("a%20b", "null", true, false)], "a server that did not encode");
        assert_eq!(page.next, None);
    }

    #[test]
    fn a_page_that_is_cut_or_broken_is_flawed() {
        for xml in [
            "<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>",
            "<ListVersionsResult><Version><Key>a</Key></Version></ListVersionsResult>",
            "<ListVersionsResult>",
        ] {
            assert!(LIST.parse(answer(200, &[], xml)).is_err(), "{xml}");
        }
    }
}
