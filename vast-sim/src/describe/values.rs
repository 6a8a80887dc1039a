//! Values that people write: sizes with units, times in seconds, the answer to a full quota.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::QuotaAnswer;

/// A number of bytes, written `500G`, `5M` or `1048576`: units are powers of 1024, `GiB` and `GB` mean the same as `G`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("K", 10), ("M", 20), ("G", 30), ("T", 40), ("P", 50)];
        let upper = text.trim().to_ascii_uppercase();
        let upper = upper.strip_suffix("IB").or_else(|| upper.strip_suffix('B')).unwrap_or(&upper);
        let unit = units.iter().find(|(u, _)| upper.ends_with(u));
        let (digits, shift) = unit.map_or((upper, 0), |(u, s)| (upper.trim_end_matches(u), *s));
        let number: u64 =
            digits.trim().parse().map_err(|_| format!("{text:?} is not a size; try 500G or 10T"))?;
        let bytes = number.checked_mul(1 << shift).filter(|n| *n > 0);
        bytes.map(Self).ok_or_else(|| format!("{text:?} is out of range"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("P", 50), ("T", 40), ("G", 30), ("M", 20), ("K", 10)];
        match units.iter().find(|(_, s)| self.0 >= 1 << s && self.0.is_multiple_of(1 << s)) {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes, or text such as \"500G\"")
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        if bytes > 0 { Ok(Size(bytes)) } else { Err(E::custom("0 is out of range")) }
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
        u64::try_from(bytes)
            .map_err(|_| E::custom(format!("{bytes} is out of range")))
            .and_then(|n| self.visit_u64(n))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }
}

/// A time in seconds; fractions allowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seconds(pub Duration);

impl Seconds {
    fn of(seconds: f64) -> Result<Self, String> {
        let duration = Duration::try_from_secs_f64(seconds);
        duration.map(Self).map_err(|_| format!("{seconds} is not a number of seconds from 0 on"))
    }
}

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not a number of seconds")).and_then(Self::of)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(f64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// What S3 answers when a hard limit is reached, written `403:QuotaExceeded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(pub QuotaAnswer);

impl FromStr for Answer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':').and_then(|(s, code)| Some((s.parse().ok()?, code))) {
            Some((status, code)) if (400..=599).contains(&status) && !code.is_empty() => {
                Ok(Self(QuotaAnswer { status, code: code.to_owned() }))
            }
            _ => Err(format!("{text:?}: a status of 400 to 599, a colon and an S3 error code are needed")),
        }
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A time, as text or as TOML's own.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<jiff::Timestamp>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Toml(toml::value::Datetime),
        Text(String),
    }
    let text = match Written::deserialize(deserializer) {
        Ok(Written::Toml(time)) => time.to_string(),
        Ok(Written::Text(text)) => text,
        Err(_) => return Err(de::Error::custom("a time such as 2026-01-31T12:00:00Z is needed")),
    };
    let time = text.parse().map_err(|_| {
        de::Error::custom(format!("{text:?} is not a time with its zone, such as 2026-01-31T12:00:00Z"))
    });
    time.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in
            [("1", 1), ("5M", 5 << 20), ("10 TiB", 10 << 40), ("2gb", 2 << 30), ("1P", 1 << 50)]
        {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "0", "lots", "-1", "1.5G", "99999999999P", "K"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        assert_eq!((Size(3 << 30).to_string(), Size(1500).to_string()), ("3G".to_owned(), "1500".to_owned()));
    }
}
