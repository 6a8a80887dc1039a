//! Values as people write them in scenarios: sizes, durations and comparisons.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// A size in bytes: `262144`, `512k`, `64m`, `1g`, `2t` (powers of 1024; `KiB`, `MiB`, `GiB`, `TiB` mean the same).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(Self::expected(text)),
        };
        let number: u64 = number.parse().map_err(|_| Self::expected(text))?;
        number
            .checked_mul(1 << unit)
            .map(Self)
            .ok_or_else(|| format!("{text} is more bytes than 64 bits can count"))
    }
}

impl ByteSize {
    fn expected(text: &str) -> String {
        format!("`{text}` is not a size; expected bytes such as 262144, or 512k, 64m, 1g, 2t")
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        match unit.iter().find(|(shift, _)| self.0 >= 1 << shift && self.0.is_multiple_of(1 << shift)) {
            Some((shift, unit)) => write!(f, "{} {unit}", self.0 >> shift),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// A duration with its unit: `15ms`, `30s`, `10m`, `1h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Milliseconds(pub u64);

impl FromStr for Milliseconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!("`{text}` is not a duration; expected a number with its unit: 15ms, 30s, 10m, 1h or 7d")
        };
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let factor = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 24 * 3_600_000,
            _ => return Err(expected()),
        };
        let number: u64 = number.parse().map_err(|_| expected())?;
        number.checked_mul(factor).map(Self).ok_or_else(expected)
    }
}

/// A time of day in UTC, `22:00`, as seconds since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(pub u64);

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(hours, minutes)| {
            let number = |text: &str, below: u64| {
                let number = text.parse::<u64>().ok().filter(|number| *number < below);
                number.filter(|_| text.len() == 2)
            };
            Some(Self(number(hours, 24)? * 3600 + number(minutes, 60)? * 60))
        });
        parsed
            .ok_or_else(|| format!("`{text}` is not a time of day; expected hours and minutes such as 22:00"))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 3600, self.0 / 60 % 60)
    }
}

/// How a measured value relates to an expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    /// Equal.
    Equal,
    /// At least.
    AtLeast,
    /// At most.
    AtMost,
    /// More than.
    More,
    /// Less than.
    Less,
}

/// An expectation of a number: `3`, `>=3`, `<= 512m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// The relation.
    pub comparator: Comparator,
    /// The expected value.
    pub value: u64,
}

impl Comparison {
    /// Exactly this value.
    pub const fn equal(value: u64) -> Self {
        Self { comparator: Comparator::Equal, value }
    }

    /// Whether `measured` is as expected.
    pub const fn holds(self, measured: u64) -> bool {
        match self.comparator {
            Comparator::Equal => measured == self.value,
            Comparator::AtLeast => measured >= self.value,
            Comparator::AtMost => measured <= self.value,
            Comparator::More => measured > self.value,
            Comparator::Less => measured < self.value,
        }
    }
}

impl FromStr for Comparison {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let signs = [
            (">=", Comparator::AtLeast),
            ("<=", Comparator::AtMost),
            ("==", Comparator::Equal),
            (">", Comparator::More),
            ("<", Comparator::Less),
        ];
        let (comparator, value) = signs
            .iter()
            .find_map(|(sign, comparator)| Some((*comparator, text.strip_prefix(sign)?)))
            .unwrap_or((Comparator::Equal, text));
        match value.parse::<ByteSize>() {
            Ok(ByteSize(value)) => Ok(Self { comparator, value }),
            Err(_) => {
                Err(format!("`{text}` is not a comparison; expected a number such as 3, >=3 or <= 512m"))
            }
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.comparator {
            Comparator::Equal => "==",
            Comparator::AtLeast => ">=",
            Comparator::AtMost => "<=",
            Comparator::More => ">",
            Comparator::Less => "<",
        };
        write!(f, "{sign} {}", self.value)
    }
}

/// Reads a number or a string, whichever was written, through the type's [`FromStr`].
struct TextVisitor<T>(&'static str, PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

macro_rules! read_as_text {
    ($type:ty, $expected:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(TextVisitor($expected, PhantomData))
            }
        }
    };
}

macro_rules! described_as_text {
    ($type:ty, $name:literal, {$($json:tt)*}) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({$($json)*})
            }
        }
    };
}

described_as_text!(TimeOfDay, "TimeOfDay", {
    "description": "Hours and minutes in UTC: 22:00",
    "type": "string",
    "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
});
described_as_text!(ByteSize, "Size", {
    "description": "A size in bytes: 262144, 512k, 64m, 1g, 2t (powers of 1024)",
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": "^\\s*[0-9]+\\s*([bB]|[kKmMgGtT]([iI]?[bB])?)?\\s*$"},
    ],
});
described_as_text!(Milliseconds, "Duration", {
    "description": "A duration with its unit: 15ms, 30s, 10m, 1h",
    "type": "string",
    "pattern": "^[0-9]+(ms|s|m|h)$",
});
described_as_text!(Comparison, "Comparison", {
    "description": "A number to compare with: 3, >=3, <= 512m",
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {
            "type": "string",
            "pattern": "^\\s*(>=|<=|==|>|<)?\\s*[0-9]+\\s*([bB]|[kKmMgGtT]([iI]?[bB])?)?\\s*$",
        },
    ],
});
described_as_text!(Secret, "Secret", {
    "description": "Text that is used and never shown",
    "type": "string",
});

read_as_text!(ByteSize, "a size such as 262144, 512k, 64m, 1g");
read_as_text!(Milliseconds, "a duration such as 15ms, 30s, 10m");
read_as_text!(TimeOfDay, "a time of day such as 22:00");
read_as_text!(Comparison, "a number to compare with, such as 3, >=3 or <= 512m");

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Comparison {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Text that is read and used but never shown: printed and written it is `***`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_has_hours_and_minutes() {
        assert_eq!("22:05".parse(), Ok(TimeOfDay(22 * 3600 + 5 * 60)));
        assert_eq!(TimeOfDay(22 * 3600 + 5 * 60).to_string(), "22:05");
        for text in ["24:00", "22:60", "22", "2:05", "-1:00", "22:05:00", ""] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in
            [("0", 0), ("262144", 1 << 18), ("512k", 1 << 19), ("64 MiB", 1 << 26), ("1g", 1 << 30)]
        {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "k", "1x", "-1", "1.5g", "99999999999t"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        assert_eq!(ByteSize(3 << 20).to_string(), "3 MiB");
        assert_eq!(ByteSize(1025).to_string(), "1025 bytes");
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!("15ms".parse(), Ok(Milliseconds(15)));
        assert_eq!("2m".parse(), Ok(Milliseconds(120_000)));
        for text in ["15", "ms", "1w", "1.5s"] {
            assert!(text.parse::<Milliseconds>().is_err(), "{text}");
        }
    }

    #[test]
    fn comparisons_hold_where_they_say() {
        for (text, yes, no) in
            [("3", 3, 4), (">=3", 3, 2), ("<= 1k", 1024, 1025), ("> 3", 4, 3), ("<3", 2, 3)]
        {
            let comparison: Comparison = text.parse().unwrap();
            assert!(comparison.holds(yes) && !comparison.holds(no), "{text}");
        }
        assert!("=>3".parse::<Comparison>().is_err());
    }
}
