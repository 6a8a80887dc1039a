//! One page of an ordered listing with prefix and delimiter, for objects and for uploads alike.

use std::collections::BTreeMap;
use std::ops::Bound;

/// A page of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<(String, T)>,
    /// Common prefixes, each once, in order.
    pub(crate) prefixes: Vec<String>,
    /// Where the next page starts (after this key or prefix); none at the end.
    pub(crate) next: Option<String>,
}

/// The keys after `after` that start with `prefix`, at most `max` entries, those with `delimiter` behind the prefix
/// rolled up. A marker that ends with the delimiter stands for everything below it.
pub(crate) fn page<T: Clone>(
    entries: &BTreeMap<String, T>,
    prefix: &str,
    delimiter: &str,
    after: &str,
    max: usize,
) -> Page<T> {
    let mut page = Page { items: Vec::new(), prefixes: Vec::new(), next: None };
    if max == 0 {
        return page;
    }
    let mut from =
        if after < prefix { Bound::Included(prefix.to_owned()) } else { Bound::Excluded(after.to_owned()) };
    if !delimiter.is_empty()
        && after.starts_with(prefix)
        && after.len() > prefix.len()
        && after.ends_with(delimiter)
    {
        match successor(after) {
            Some(next) => from = Bound::Included(next),
            None => return page,
        }
    }
    let mut last = String::new();
    loop {
        let Some((key, value)) = entries.range::<String, _>((from, Bound::Unbounded)).next() else {
            return page;
        };
        let Some(rest) = key.strip_prefix(prefix) else { return page };
        if page.items.len() + page.prefixes.len() == max {
            page.next = Some(last);
            return page;
        }
        let cut = if delimiter.is_empty() { None } else { rest.find(delimiter) };
        if let Some(at) = cut {
            let common = key[..prefix.len() + at + delimiter.len()].to_owned();
            let next = successor(&common);
            last.clone_from(&common);
            page.prefixes.push(common);
            match next {
                Some(next) => from = Bound::Included(next),
                None => return page,
            }
        } else {
            last.clone_from(key);
            page.items.push((key.clone(), value.clone()));
            from = Bound::Excluded(key.clone());
        }
    }
}

/// The least string above every string that starts with `prefix`; none when there is none.
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The next code point after the surrogate gap, if any. UTF-8 sorts as code points do.
        let next = u32::from(last) + 1;
        let next = if next == 0xD800 { 0xE000 } else { next };
        if let Some(next) = char::from_u32(next) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// What the rules say, written as plainly as possible.
    fn model(keys: &BTreeSet<String>, prefix: &str, delimiter: &str, after: &str) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for key in keys.iter().filter(|k| k.starts_with(prefix) && k.as_str() > after) {
            if !delimiter.is_empty()
                && after.len() > prefix.len()
                && after.ends_with(delimiter)
                && key.starts_with(after)
            {
                continue;
            }
            let rest = &key[prefix.len()..];
            let entry = match rest.find(delimiter).filter(|_| !delimiter.is_empty()) {
                Some(at) => key[..prefix.len() + at + delimiter.len()].to_owned(),
                None => key.clone(),
            };
            if out.last() != Some(&entry) {
                out.push(entry);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn pages_add_up_to_the_model(
            keys in proptest::collection::btree_set("[ab/]{1,5}", 0..30),
            prefix in "[ab/]{0,2}",
            delimiter in "(/|a|)",
            after in "[ab/]{0,3}",
            max in 1usize..6,
        ) {
            let map: BTreeMap<String, bool> = keys.iter().map(|k| (k.clone(), true)).collect();
            let mut seen = Vec::new();
            let mut marker = after.clone();
            loop {
                let got = page(&map, &prefix, &delimiter, &marker, max);
                let mut entries: Vec<String> = got.items.into_iter().map(|(k, _)| k).chain(got.prefixes).collect();
                prop_assert!(entries.len() <= max);
                entries.sort();
                seen.extend(entries);
                match got.next {
                    Some(next) => marker = next,
                    None => break,
                }
            }
            prop_assert_eq!(seen, model(&keys, &prefix, &delimiter, &after));
        }
    }

    #[test]
    fn successor_skips_the_surrogates() {
        assert_eq!(successor("a/"), Some("a0".to_owned()));
        assert_eq!(successor("\u{D7FF}"), Some("\u{E000}".to_owned()));
        assert_eq!(successor("\u{10FFFF}"), None);
        assert_eq!(successor("a\u{10FFFF}"), Some("b".to_owned()));
    }
}
