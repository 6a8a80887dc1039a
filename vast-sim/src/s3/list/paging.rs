//! One page of an ordered listing with prefix and delimiter, for objects and for uploads alike.

use std::collections::BTreeMap;
use std::ops::Bound;

/// What a listing asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// What all paths of the bucket start with; not part of keys.
    pub(crate) base: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: &'a str,
    /// Only keys behind this one.
    pub(crate) after: &'a str,
    /// Also what is behind this item of the key [`Self::after`].
    pub(crate) within: Option<&'a str>,
    pub(crate) max: usize,
}

/// A page of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    /// By key.
    pub(crate) items: Vec<(String, T)>,
    /// Common prefixes, each once, in order.
    pub(crate) prefixes: Vec<String>,
    /// Where the next page starts: after this key or prefix, and this item of it; none at the end.
    pub(crate) next: Option<(String, String)>,
}

/// The items of one key, each with the name that pages continue from, those behind a given one only.
pub(crate) type Items<T> = Vec<(String, T)>;

/// The keys after the marker that start with the prefix, at most `max` entries, those with the delimiter behind the
/// prefix rolled up. A marker that ends with the delimiter stands for everything below it.
///
/// `expand` makes the items of a key; a key without any is not there.
pub(crate) fn page<E, T>(
    entries: &BTreeMap<String, E>,
    ask: &Ask<'_>,
    expand: impl Fn(&E, Option<&str>) -> Items<T>,
) -> Page<T> {
    let mut page = Page { items: Vec::new(), prefixes: Vec::new(), next: None };
    if ask.max == 0 {
        return page;
    }
    let (prefix, after) = (format!("{}{}", ask.base, ask.prefix), format!("{}{}", ask.base, ask.after));
    let rolled_up = !ask.delimiter.is_empty()
        && after.starts_with(&prefix)
        && after.len() > prefix.len()
        && after.ends_with(ask.delimiter);
    let mut from = if rolled_up && ask.within.is_none() {
        match successor(&after) {
            Some(next) => Bound::Included(next),
            None => return page,
        }
    } else if after < prefix {
        Bound::Included(prefix.clone())
    } else if ask.within.is_some() {
        Bound::Included(after.clone())
    } else {
        Bound::Excluded(after.clone())
    };
    let mut last = (String::new(), String::new());
    loop {
        let Some((path, entry)) = entries.range::<String, _>((from, Bound::Unbounded)).next() else {
            return page;
        };
        let Some(rest) = path.strip_prefix(&prefix) else { return page };
        let key = &path[ask.base.len()..];
        from = Bound::Excluded(path.clone());
        let items = expand(entry, ask.within.filter(|_| *path == after));
        if items.is_empty() {
            continue;
        }
        let cut = if ask.delimiter.is_empty() { None } else { rest.find(ask.delimiter) };
        if let Some(at) = cut {
            if page.is_full(ask.max, &last) {
                return page;
            }
            let common = key[..ask.prefix.len() + at + ask.delimiter.len()].to_owned();
            let next = successor(&format!("{}{common}", ask.base));
            last = (common.clone(), String::new());
            page.prefixes.push(common);
            match next {
                Some(next) => from = Bound::Included(next),
                None => return page,
            }
        } else {
            for (name, item) in items {
                if page.is_full(ask.max, &last) {
                    return page;
                }
                last = (key.to_owned(), name);
                page.items.push((key.to_owned(), item));
            }
        }
    }
}

impl<T> Page<T> {
    /// Whether no entry fits any more; notes where to go on.
    fn is_full(&mut self, max: usize, last: &(String, String)) -> bool {
        let full = self.items.len() + self.prefixes.len() == max;
        if full {
            self.next = Some(last.clone());
        }
        full
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
        #![proptest_config(crate::random::cases(256))]

        #[test]
        fn pages_add_up_to_the_model(
            keys in proptest::collection::btree_set("[ab/]{1,5}", 0..30),
            prefix in "[ab/]{0,2}",
            delimiter in "(/|a|)",
            after in "[ab/]{0,3}",
            max in 1usize..6,
        ) {
            let map: BTreeMap<String, bool> = keys.iter().map(|k| (format!("/v/{k}"), true)).collect();
            let mut seen = Vec::new();
            let mut marker = after.clone();
            loop {
                let ask = Ask { base: "/v/", prefix: &prefix, delimiter: &delimiter, after: &marker, within: None, max };
                let got = page(&map, &ask, |there, _| vec![(String::new(), *there)]);
                let mut entries: Vec<String> = got.items.into_iter().map(|(k, _)| k).chain(got.prefixes).collect();
                prop_assert!(entries.len() <= max);
                entries.sort();
                seen.extend(entries);
                match got.next {
                    Some((next, _)) => marker = next,
                    None => break,
                }
            }
            prop_assert_eq!(seen, model(&keys, &prefix, &delimiter, &after));
        }
    }

    #[test]
    fn items_of_a_key_go_over_several_pages_and_keys_without_any_are_not_there() {
        let names = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        let map: BTreeMap<String, Vec<String>> = [("a", 3), ("b", 0), ("c/1", 0), ("d/1", 2), ("e", 1)]
            .map(|(k, n)| (k.to_owned(), names(n)))
            .into();
        let mut seen = Vec::new();
        let mut marker = (String::new(), None);
        loop {
            let ask = Ask {
                base: "",
                prefix: "",
                delimiter: "/",
                after: &marker.0,
                within: marker.1.as_deref(),
                max: 2,
            };
            let got = page(&map, &ask, |names, behind| {
                names
                    .iter()
                    .filter(|n| behind.is_none_or(|b| n.as_str() > b))
                    .map(|n| (n.clone(), n.clone()))
                    .collect()
            });
            seen.extend(got.items.into_iter().map(|(k, n)| format!("{k}:{n}")).chain(got.prefixes));
            match got.next {
                Some((key, name)) => marker = (key, Some(name).filter(|n| !n.is_empty())),
                None => break,
            }
        }
        assert_eq!(seen, ["a:0", "a:1", "a:2", "d/", "e:0"]);
    }

    #[test]
    fn successor_skips_the_surrogates() {
        assert_eq!(successor("a/"), Some("a0".to_owned()));
        assert_eq!(successor("\u{D7FF}"), Some("\u{E000}".to_owned()));
        assert_eq!(successor("\u{10FFFF}"), None);
        assert_eq!(successor("a\u{10FFFF}"), Some("b".to_owned()));
    }
}
