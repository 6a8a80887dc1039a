//! Pax records: `<length> <key>=<value>\n`, the length counting itself.

/// Appends a record.
pub(super) fn put(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.ilog10() as usize + 1 {
        length = rest + length.ilog10() as usize + 1;
    }
    out.extend(length.to_string().bytes());
    out.push(b' ');
    out.extend(key.bytes());
    out.push(b'=');
    out.extend(value);
    out.push(b'\n');
}

/// The records of a pax header; `None` in place of the first malformed one, and nothing after it.
pub(super) fn records(mut data: &[u8]) -> impl Iterator<Item = Option<(&[u8], &[u8])>> {
    std::iter::from_fn(move || {
        if data.is_empty() {
            return None;
        }
        let record = split(data);
        data = record.map_or(&[], |(_, rest)| rest);
        Some(record.map(|(pair, _)| pair))
    })
}

type Pair<'a> = (&'a [u8], &'a [u8]);

fn split(data: &[u8]) -> Option<(Pair<'_>, &[u8])> {
    let space = data.iter().take(20).position(|b| *b == b' ')?;
    let length: usize = std::str::from_utf8(&data[..space]).ok()?.parse().ok()?;
    let body = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|b| *b == b'=')?;
    Some(((&body[..equals], &body[equals + 1..]), &data[length..]))
}

/// A time as pax writes it: seconds with an optional fraction.
pub(super) fn format_time(seconds: i64, nanoseconds: u32) -> String {
    if seconds < 0 && nanoseconds > 0 {
        format!("-{}.{:09}", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds)
    } else {
        format!("{seconds}.{nanoseconds:09}")
    }
}

/// Reads a time; digits of the fraction after the ninth are ignored.
pub(super) fn parse_time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let negative = whole.starts_with('-');
    let seconds: i64 = whole.parse().ok()?;
    let nanoseconds: u32 = format!("{:0<9}", &fraction[..fraction.len().min(9)]).parse().ok()?;
    if negative && nanoseconds > 0 {
        Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds))
    } else {
        Some((seconds, nanoseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_counts_its_own_digits() {
        for size in [0, 1, 80, 86, 87, 88, 89, 90, 985, 986, 987, 988, 989, 990, 9_980, 9_981, 9_990] {
            let mut out = Vec::new();
            put(&mut out, "path", &vec![b'\n'; size]);
            let found: Vec<_> = records(&out).collect();
            assert_eq!(found, [Some((&b"path"[..], &vec![b'\n'; size][..]))], "{size}");
            assert!(out.starts_with(out.len().to_string().as_bytes()), "{size}");
        }
    }

    #[test]
    fn malformed_records_end_the_list() {
        for bad in
            [&b"5 a=b"[..], b"x a=b\n", b"99 a=b\n", b"4 ab\n", b"0 a=b\n", b"18446744073709551615 a=b\n"]
        {
            assert_eq!(records(bad).collect::<Vec<_>>(), [None], "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn times_before_the_epoch_keep_their_fraction() {
        for (seconds, nanoseconds, text) in [
            (0, 5, "0.000000005"),
            (-1, 500_000_000, "-0.500000000"),
            (-3, 0, "-3.000000000"),
            (7, 0, "7.000000000"),
        ] {
            assert_eq!(format_time(seconds, nanoseconds), text);
            assert_eq!(parse_time(text.as_bytes()), Some((seconds, nanoseconds)), "{text}");
        }
        assert_eq!(parse_time(b"12"), Some((12, 0)));
        assert_eq!(parse_time(b"1.x"), None);
    }
}
