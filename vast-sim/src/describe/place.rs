//! Where a key of a description stands in its text.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Described;

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    /// Into a list.
    Item(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(item: usize) -> Self {
        Self::Item(item)
    }
}

/// A key and its value, in bytes of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
}

impl Described {
    /// Where the text says something; none when it does not.
    pub(super) fn place(&self, path: &[Step]) -> Option<Place> {
        let document = DeTable::parse(&self.text).ok()?;
        let (first, rest) = path.split_first()?;
        let Step::Key(name) = first else { return None };
        let (key, value) = entry(document.get_ref(), name)?;
        find(key, value, rest)
    }
}

fn entry<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<(Range<usize>, &'t Spanned<DeValue<'i>>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == name)?;
    Some((key.span(), value))
}

fn find(key: Range<usize>, value: &Spanned<DeValue<'_>>, path: &[Step]) -> Option<Place> {
    let Some((step, rest)) = path.split_first() else { return Some(Place { key, value: value.span() }) };
    match (step, value.get_ref()) {
        (Step::Key(name), DeValue::Table(table)) => {
            let (key, value) = entry(table, name)?;
            find(key, value, rest)
        }
        (Step::Item(n), DeValue::Array(items)) => find(key, items.get(*n)?, rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_every_way_to_write_them() {
        let text = "[cluster]\ns3_port = 0\n[[users]]\nname = \"a\"\n[[users]]\nname = \"b\"\n\
                    fields = { leading_gid = 5 }\n[[users]]\nname = \"c\"\n[users.fields]\nleading_gid = 6\n";
        let read = Described::read("c.toml", text.to_owned()).unwrap();
        let shown =
            |path: &[Step]| read.place(path).map(|p| (text[p.key].to_owned(), text[p.value].to_owned()));
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(shown(&["cluster".into(), "s3_port".into()]), pair("s3_port", "0"));
        let gid = |n: usize| ["users".into(), n.into(), "fields".into(), "leading_gid".into()];
        assert_eq!(shown(&gid(1)), pair("leading_gid", "5"));
        assert_eq!(shown(&gid(2)), pair("leading_gid", "6"));
        assert_eq!((shown(&gid(0)), shown(&gid(3))), (None, None));
    }
}
