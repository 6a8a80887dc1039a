//! Wildcards and address ranges.

use std::net::IpAddr;

/// Whether `text` matches a pattern in which `*` stands for any text and `?` for any character.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut pi, mut ti) = (0, 0);
    // The last star, and how far what follows it has been tried.
    let mut star: Option<(usize, usize)> = None;
    while ti < t.len() {
        match p.get(pi) {
            Some('*') => {
                star = Some((pi, ti));
                pi += 1;
            }
            Some(c) if *c == '?' || *c == t[ti] => {
                pi += 1;
                ti += 1;
            }
            _ => match star {
                Some((at, tried)) => {
                    star = Some((at, tried + 1));
                    pi = at + 1;
                    ti = tried + 1;
                }
                None => return false,
            },
        }
    }
    p[pi..].iter().all(|c| *c == '*')
}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

/// Whether a range covers an address: `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`. None when it is no range.
pub(crate) fn covers_address(range: &str, address: IpAddr) -> Option<bool> {
    let (value, width) = bits(address);
    if let Some((network, prefix)) = range.split_once('/') {
        let (network, network_width) = bits(network.trim().parse().ok()?);
        let prefix: u32 = prefix.trim().parse().ok().filter(|p| *p <= network_width)?;
        let shift = network_width - prefix;
        let cut = |v: u128| v.checked_shr(shift).unwrap_or(0);
        return Some(network_width == width && cut(network) == cut(value));
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, first_width) = bits(first.trim().parse().ok()?);
    let (last, _) = bits(last.trim().parse().ok()?);
    Some(first_width == width && (first..=last).contains(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("*", "a/b", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("a*b*c", "a-b-b-c", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.log", "dir/x.log", true),
            ("ab", "abc", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn addresses() {
        let of = |range: &str, address: &str| covers_address(range, address.parse().unwrap());
        assert_eq!(of("10.0.0.0/8", "10.9.8.7"), Some(true));
        assert_eq!(of("10.0.0.0/8", "11.9.8.7"), Some(false));
        assert_eq!(of("0.0.0.0/0", "11.9.8.7"), Some(true));
        assert_eq!(of("::/0", "::1"), Some(true));
        assert_eq!(of("::/0", "1.2.3.4"), Some(false));
        assert_eq!(of("10.0.0.3", "10.0.0.3"), Some(true));
        assert_eq!(of("10.0.0.3-10.0.0.5", "10.0.0.4"), Some(true));
        assert_eq!(of("10.0.0.3-10.0.0.5", "10.0.0.6"), Some(false));
        assert_eq!(of("10.0.0.3-10.0.0.5", "::a00:4"), Some(false));
        assert_eq!(of("10.0.0.0/33", "10.0.0.6"), None);
        assert_eq!(of("host.example", "10.0.0.6"), None);
    }
}
