//! The canonical forms that signers and verifiers agree on.

use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but what RFC 3986 calls unreserved.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same for paths.
const PATH: &AsciiSet = &STRICT.remove(b'/');

/// Decoded query parameters in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        let decode = |s: &str| percent_decode_str(&s.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pair = |p: &str| {
            let (name, value) = p.split_once('=').unwrap_or((p, ""));
            (decode(name), decode(value))
        };
        Self(query.split('&').filter(|p| !p.is_empty()).map(pair).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// Parameters encoded and in order.
pub(super) fn query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let encode = |s: &str| utf8_percent_encode(s, STRICT).to_string();
    let mut encoded: Vec<(String, String)> = pairs.map(|(n, v)| (encode(n), encode(v))).collect();
    encoded.sort_unstable();
    let joined: Vec<String> = encoded.into_iter().map(|(n, v)| format!("{n}={v}")).collect();
    joined.join("&")
}

/// A path decoded and encoded again: the spelling of signers that start from the object's name.
pub(super) fn path(raw: &str) -> String {
    let decoded: Vec<u8> = percent_decode_str(raw).collect();
    percent_encoding::percent_encode(&decoded, PATH).to_string()
}

/// Signed headers one per line, and their names; none when one of them is missing.
pub(super) fn headers(headers: &HeaderMap, names: &[&str]) -> Option<(String, String)> {
    let mut names: Vec<&str> = names.to_vec();
    names.sort_unstable();
    let mut lines = String::new();
    for name in &names {
        let mut values = Vec::new();
        for value in headers.get_all(*name) {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            values.push(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
        }
        if values.is_empty() {
            return None;
        }
        lines.push_str(name);
        lines.push(':');
        lines.push_str(&values.join(","));
        lines.push('\n');
    }
    Some((lines, names.join(";")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let parsed = Query::parse("b=%2F&a&a=x%20y");
        assert_eq!(parsed.get("b"), Some("/"));
        let pairs = parsed.pairs().iter().map(|(n, v)| (n.as_str(), v.as_str()));
        assert_eq!(query(pairs), "a=&a=x%20y&b=%2F");
        assert_eq!(path("/b/a%2Fb%c3%a9=(x)"), "/b/a/b%C3%A9%3D%28x%29");
        let mut map = HeaderMap::new();
        map.insert("host", "h".parse().unwrap());
        map.append("x-a", "  one   two ".parse().unwrap());
        map.append("x-a", "three".parse().unwrap());
        let (lines, names) = headers(&map, &["x-a", "host"]).unwrap();
        assert_eq!((lines.as_str(), names.as_str()), ("host:h\nx-a:one two,three\n", "host;x-a"));
        assert_eq!(headers(&map, &["date"]), None);
    }
}
