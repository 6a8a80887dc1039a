//! ListObjectsV2: one page of keys with a prefix, or of their distinct beginnings.

use http::Method;
use serde::Deserialize;

use super::{Action, Again, Flaw, Outgoing, bucket_path, page, query_value, read_document};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;
use crate::s3::time::timestamp;

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// The key, whole.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// Last modification in seconds since the epoch, by the server's clock; 0 when the server does not say.
    pub modified: u64,
    /// Entity tag, as the server wrote it; empty when it does not say.
    pub etag: String,
}

/// One page of a listing, in the server's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPage {
    /// At most 1,000 objects.
    pub objects: Vec<ListedObject>,
    /// Pass it to the next call; `None` on the last page.
    pub next: Option<String>,
}

/// One page of the distinct beginnings of keys, in the server's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupPage {
    /// At most 1,000, each up to and including the delimiter. A page may be empty and not be the last.
    pub groups: Vec<String>,
    /// Pass it to the next call; `None` on the last page.
    pub next: Option<String>,
}

/// What one page tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Listing {
    pub(crate) objects: Vec<ListedObject>,
    /// Empty without a delimiter.
    pub(crate) groups: Vec<String>,
    pub(crate) next: Option<String>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ListObjectsV2<'a> {
    pub(crate) prefix: &'a str,
    /// Keys that have it behind the prefix are not listed, only what they begin with, once.
    pub(crate) delimiter: Option<&'a str>,
    pub(crate) next: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListBucketResult {
    #[serde(default)]
    is_truncated: bool,
    next_continuation_token: Option<String>,
    #[serde(default)]
    contents: Vec<Contents>,
    #[serde(default)]
    common_prefixes: Vec<CommonPrefix>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    #[serde(default)]
    size: u64,
    last_modified: Option<String>,
    #[serde(rename = "ETag", default)]
    etag: String,
}

impl Action for ListObjectsV2<'_> {
    type Output = Listing;

    const OPERATION: Operation = Operation::ListObjectsV2;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        format!("LIST {bucket}/{}*", self.prefix)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let mut target = format!("{}?list-type=2&prefix={}", bucket_path(bucket), query_value(self.prefix));
        if let Some(delimiter) = self.delimiter {
            target.push_str("&delimiter=");
            target.push_str(&query_value(delimiter));
        }
        if let Some(next) = self.next {
            target.push_str("&continuation-token=");
            target.push_str(&query_value(next));
        }
        Ok(Outgoing::new(Method::GET, target))
    }

    fn parse(&self, answer: Answer) -> std::result::Result<Listing, Flaw> {
        let result: ListBucketResult = read_document(&answer, "the listing")?;
        let next = page::next(result.is_truncated, result.next_continuation_token)?;
        let objects = result.contents.into_iter().map(|object| ListedObject {
            modified: object.last_modified.as_deref().and_then(timestamp).unwrap_or(0),
            key: object.key,
            size: object.size,
            etag: object.etag,
        });
        let groups = result.common_prefixes.into_iter().map(|common| common.prefix).collect();
        Ok(Listing { objects: objects.collect(), groups, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    const LIST: ListObjectsV2<'static> = ListObjectsV2 { prefix: "a b/", delimiter: None, next: Some("t=1") };

    #[test]
    fn prefix_and_token_are_encoded() {
        assert_eq!(
            LIST.build("lsu").unwrap().target,
            "/lsu?list-type=2&prefix=a%20b%2F&continuation-token=t%3D1"
        );
        assert_eq!(
            ListObjectsV2 { delimiter: Some("/"), next: None, ..LIST }.build("lsu").unwrap().target,
            "/lsu?list-type=2&prefix=a%20b%2F&delimiter=%2F"
        );
    }

    #[test]
    fn a_page_is_read_with_entities_and_unknown_elements() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>lsu</Name><Prefix>a</Prefix>
            <KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>
            <Contents><Key>a&amp;b &lt;c&gt;</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified>
            <ETag>&quot;fba9&quot;</ETag><Size>434234</Size><StorageClass>STANDARD</StorageClass></Contents>
            <CommonPrefixes><Prefix>x</Prefix></CommonPrefixes>
            <Contents><Key>second</Key><Size>5</Size></Contents>
            <NextContinuationToken>1ueG/==</NextContinuationToken></ListBucketResult>"#;
        let page = LIST.parse(answer(200, &[], xml)).unwrap();
        assert_eq!(page.next.as_deref(), Some("1ueG/=="));
        assert_eq!(
            page.objects[0],
            ListedObject {
                key: "a&b <c>".into(),
                size: 434_234,
                modified: 1_255_369_830,
                etag: "\"fba9\"".into()
            }
        );
        assert_eq!((page.objects[1].key.as_str(), page.objects[1].size), ("second", 5));
        assert_eq!(page.groups, ["x"]);
    }

    #[test]
    fn an_empty_page_is_the_last() {
        let xml = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        assert_eq!(LIST.parse(answer(200, &[], xml)).unwrap(), Listing::default());
    }

    #[test]
    fn a_page_that_is_cut_or_broken_is_flawed() {
        for xml in [
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<ListBucketResult><Contents><Key>a</Key>",
            "<ListBucketResult><Contents><Size>x</Size></Contents></ListBucketResult>",
            "",
        ] {
            assert!(LIST.parse(answer(200, &[], xml)).is_err(), "{xml}");
        }
    }
}
