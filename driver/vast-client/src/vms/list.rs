//! The two forms of a VMS listing: a bare array, or an envelope with the address of the next page.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// One page.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) entries: Vec<T>,
    /// Path and query of the next page.
    pub(crate) next: Option<String>,
}

#[derive(Deserialize)]
struct Envelope<T> {
    results: Vec<T>,
    next: Option<String>,
}

/// Reads either form. Which one comes depends on the request and on the release.
pub(crate) fn parse_page<T: DeserializeOwned>(body: &[u8]) -> Result<Page<T>, String> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let unreadable = |e: serde_json::Error| format!("the listing cannot be read: {e}");
    match first {
        Some(b'[') => Ok(Page { entries: serde_json::from_slice(body).map_err(unreadable)?, next: None }),
        Some(b'{') => {
            let envelope: Envelope<T> = serde_json::from_slice(body).map_err(unreadable)?;
            let next =
                envelope.next.filter(|next| !next.is_empty()).map(|next| target_of(&next)).transpose()?;
            Ok(Page { entries: envelope.results, next })
        }
        _ => Err("the answer is neither a list nor a page of one".to_owned()),
    }
}

/// Path and query of an absolute address. Its host is left aside: the token goes to no other server, and behind a
/// proxy the name that VMS knows itself by may not be the one it is reached by.
fn target_of(next: &str) -> Result<String, String> {
    let uri: http::Uri = next.parse().map_err(|e| format!("the next page's address cannot be read: {e}"))?;
    match uri.path_and_query() {
        Some(target) if target.as_str().starts_with('/') => Ok(target.as_str().to_owned()),
        _ => Err("the next page's address has no path".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let page = parse_page::<u8>(b" [1, 2]").unwrap();
        assert_eq!((page.entries, page.next), (vec![1, 2], None));
        let page = parse_page::<u8>(br#"{"count":3,"next":null,"previous":"x","results":[3]}"#).unwrap();
        assert_eq!((page.entries, page.next), (vec![3], None));
    }

    #[test]
    fn the_next_page_stays_on_our_server() {
        let next = |text: &str| {
            parse_page::<u8>(format!(r#"{{"next":"{text}","results":[]}}"#).as_bytes()).map(|page| page.next)
        };
        assert_eq!(
            next("https://evil.example/api/v5/views/?page=2").unwrap().unwrap(),
            "/api/v5/views/?page=2"
        );
        assert_eq!(next("/api/views/?page=3").unwrap().unwrap(), "/api/views/?page=3");
        assert_eq!(next("").unwrap(), None);
        assert!(next("ht tp://").is_err());
    }

    #[test]
    fn anything_else_is_an_error() {
        for body in ["", "null", "\"text\"", "[", "{}", r#"{"detail":"x"}"#, r#"["a"]"#] {
            assert!(parse_page::<u8>(body.as_bytes()).is_err(), "{body}");
        }
    }
}
