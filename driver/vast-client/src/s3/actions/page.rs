//! Pages of listings: how the next one is asked for, and how the server says where it goes on.

use http::Method;

use super::{Flaw, Outgoing, bucket_path, decoded, query_value};

/// A listing that goes on behind a key and one of its versions or uploads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paged {
    /// The query's word for what is listed.
    what: &'static str,
    /// The parameter for the version or upload.
    id_marker: &'static str,
}

/// Of all versions and delete markers.
pub(crate) const VERSIONS: Paged = Paged { what: "versions", id_marker: "version-id-marker" };
/// Of all uploads that have begun and not ended.
pub(crate) const UPLOADS: Paged = Paged { what: "uploads", id_marker: "upload-id-marker" };

impl Paged {
    /// The request for the page behind a key and one of its versions or uploads, or behind all of them.
    pub(crate) fn page(self, bucket: &str, prefix: &str, behind: Option<(&str, Option<&str>)>) -> Outgoing {
        let mut target = format!("{}?{}=&encoding-type=url", bucket_path(bucket), self.what);
        let mut add = |name: &str, value: &str| {
            target.push('&');
            target.push_str(name);
            target.push('=');
            target.push_str(&query_value(value));
        };
        add("prefix", prefix);
        if let Some((key, id)) = behind {
            add("key-marker", key);
            if let Some(id) = id {
                add(self.id_marker, id);
            }
        }
        Outgoing::new(Method::GET, target)
    }
}

/// Behind what the next page begins, by an answer's `IsTruncated` and its next marker or token; `None` after the last page.
pub(crate) fn next(truncated: bool, marker: Option<String>) -> Result<Option<String>, Flaw> {
    match (truncated, marker.filter(|marker| !marker.is_empty())) {
        (false, _) => Ok(None),
        (true, Some(marker)) => Ok(Some(marker)),
        (true, None) => Err(Flaw("the listing is cut and does not say where it goes on".to_owned())),
    }
}

/// As [`next`], for a [`Paged`]: the key, decoded, and the version or upload, `None` behind the last one of the key.
pub(crate) fn next_of_two(
    truncated: bool,
    key: Option<String>,
    id: Option<String>,
    encoding: Option<&str>,
) -> Result<Option<(String, Option<String>)>, Flaw> {
    let Some(key) = next(truncated, key)? else { return Ok(None) };
    Ok(Some((decoded(key, encoding)?, id.filter(|id| !id.is_empty()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_by_what_it_is_behind() {
        let target = |behind| VERSIONS.page("l u", "a/", behind).target;
        assert_eq!(target(None), "/l%20u?versions=&encoding-type=url&prefix=a%2F");
        assert_eq!(
            target(Some(("k&", Some("v=")))),
            "/l%20u?versions=&encoding-type=url&prefix=a%2F&key-marker=k%26&version-id-marker=v%3D"
        );
        assert_eq!(
            UPLOADS.page("b", "", Some(("k", None))).target,
            "/b?uploads=&encoding-type=url&prefix=&key-marker=k"
        );
    }

    #[test]
    fn the_last_page_has_no_next_whatever_its_markers_say() {
        assert_eq!(next(false, Some("k".into())), Ok(None));
        assert_eq!(next_of_two(false, Some("k".into()), Some("v".into()), None), Ok(None));
    }

    #[test]
    fn a_cut_page_says_where_it_goes_on_or_is_flawed() {
        assert_eq!(next(true, Some("k+".into())), Ok(Some("k+".into())));
        assert_eq!(
            next_of_two(true, Some("a+b".into()), Some("v+".into()), Some("url")),
            Ok(Some(("a b".into(), Some("v+".into()))))
        );
        assert_eq!(
            next_of_two(true, Some("a+b".into()), Some(String::new()), None),
            Ok(Some(("a+b".into(), None)))
        );
        assert_eq!(next_of_two(true, Some("k".into()), None, None), Ok(Some(("k".into(), None))));
        for lacking in [None, Some(String::new())] {
            assert!(next(true, lacking.clone()).is_err());
            assert!(next_of_two(true, lacking, Some("v".into()), None).is_err());
        }
    }
}
