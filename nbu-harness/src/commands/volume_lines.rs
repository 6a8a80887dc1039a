//! The lines of `nbdevconfig -previewdv`, which `-createdp -dvlist` reads back from a file:
//! `V_5_ DiskVolume < "name" "path" total free 0 0 0 0 0 0 0 >`.
//!
//! The shape is seen in public output. That total and free are bytes, and that the seven numbers behind them stay 0,
//! is not verified; the first two of the seven are the shortest and longest lock here.

use super::CommandError;
use crate::emm::VolumeReport;
use std::fmt::Write;

const HEAD: &str = "V_5_ DiskVolume < ";

/// A line for each volume.
pub(super) fn print(volumes: &[VolumeReport]) -> String {
    let mut text = String::new();
    for volume in volumes {
        let name = quoted(&volume.name);
        let (total, free) = (volume.capacity.unwrap_or(0), volume.free().unwrap_or(0));
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "{HEAD}{name} {name} {total} {free} {} {} 0 0 0 0 0 >",
            volume.worm_min.unwrap_or(0),
            volume.worm_max.unwrap_or(0)
        );
    }
    text
}

/// The names in a file of such lines; empty lines and those that begin with `#` are left out.
pub(super) fn names(text: &str) -> Result<Vec<String>, CommandError> {
    let lines = (1u32..).zip(text.lines()).filter(|(_, line)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    lines
        .map(|(number, line)| {
            let name = line.trim().strip_prefix(HEAD).and_then(unquoted);
            name.ok_or_else(|| {
                CommandError::usage(format!(
                    "line {number} of the volume list is none of `nbdevconfig -previewdv`, which begins \
                     {HEAD}\"name\": {line}"
                ))
            })
        })
        .collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The quoted text at the beginning.
fn unquoted(text: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = text.strip_prefix('"')?.chars();
    loop {
        match rest.next()? {
            '"' => return Some(name),
            '\\' => name.push(rest.next()?),
            other => name.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_may_have_comments_and_nothing_else() {
        assert_eq!(names("# chosen\n\nV_5_ DiskVolume < \"a\" \"a\" 1 1 0 0 0 0 0 0 0 >\n").unwrap(), ["a"]);
        for bad in ["lsu0", "V_5_ DiskVolume < lsu0", "V_5_ DiskVolume < \"open"] {
            let error = names(&format!("#\n{bad}\n")).unwrap_err();
            assert!(error.text.starts_with("line 2 of the volume list"), "{}", error.text);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(list in proptest::collection::vec("[^\\x00-\\x1f\\x7f]{1,20}", 0..4)) {
            let volumes: Vec<_> =
                list.iter().map(|name| VolumeReport { name: name.clone(), ..VolumeReport::default() }).collect();
            // A line separator of Unicode is no end of a line here.
            prop_assert_eq!(names(&print(&volumes)).unwrap(), list);
        }
    }
}
