//! Listings: what those of objects, versions and uploads ask for and answer alike. The walk itself is in [`paging`].

pub(crate) mod objects;
mod paging;
pub(crate) mod uploads;
pub(crate) mod versions;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{CommonPrefix, EncodingType};
use s3s::{S3Result, s3_error};

pub(crate) use paging::{Ask, Page, page};

use super::refusal::Detailed as _;

/// Most entries of one answer.
const MAX_KEYS: i32 = 1000;

/// What `encoding-type=url` leaves alone.
const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Encodes keys when the client asked for it.
#[derive(Clone, Copy)]
struct Encoder(bool);

impl Encoder {
    fn new(asked: Option<&EncodingType>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Self(false)),
            Some(EncodingType::URL) => Ok(Self(true)),
            Some(other) => {
                let error = s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request");
                Err(error.detail("ArgumentName", "encoding-type").detail("ArgumentValue", other))
            }
        }
    }

    fn text(self, text: &str) -> String {
        if self.0 { utf8_percent_encode(text, KEEP).to_string() } else { text.to_owned() }
    }
}

/// The asked number of entries, within bounds.
fn limit(asked: Option<i32>) -> S3Result<(i32, usize)> {
    let n = asked.unwrap_or(MAX_KEYS).min(MAX_KEYS);
    match usize::try_from(n) {
        Ok(max) => Ok((n, max)),
        Err(_) => Err(s3_error!(InvalidArgument, "max-keys must not be negative")),
    }
}

/// What a listing asks for, beside where it starts.
struct Listing {
    encoder: Encoder,
    encoding: Option<EncodingType>,
    prefix: String,
    delimiter: String,
    /// The number of entries as answers repeat it.
    asked: i32,
    max: usize,
}

impl Listing {
    fn new(
        encoding: Option<&EncodingType>,
        prefix: Option<&String>,
        delimiter: Option<&String>,
        max: Option<i32>,
    ) -> S3Result<Self> {
        let (asked, max) = limit(max)?;
        Ok(Self {
            encoder: Encoder::new(encoding)?,
            encoding: encoding.cloned(),
            prefix: prefix.cloned().unwrap_or_default(),
            delimiter: delimiter.cloned().unwrap_or_default(),
            asked,
            max,
        })
    }

    fn ask<'a>(&'a self, base: &'a str, after: &'a str, within: Option<&'a str>) -> Ask<'a> {
        Ask { base, prefix: &self.prefix, delimiter: &self.delimiter, after, within, max: self.max }
    }

    /// A key or prefix as the client wants it.
    fn text(&self, text: &str) -> String {
        self.encoder.text(text)
    }

    fn prefixes(&self, prefixes: &[String]) -> Option<Vec<CommonPrefix>> {
        let dto = |p: &String| CommonPrefix { prefix: Some(self.text(p)) };
        (!prefixes.is_empty()).then(|| prefixes.iter().map(dto).collect())
    }

    fn delimiter(&self) -> Option<String> {
        (!self.delimiter.is_empty()).then(|| self.text(&self.delimiter))
    }
}

/// Fills in what all listings answer alike.
macro_rules! fill {
    ($output:expr, $listing:expr, $truncated:expr, $prefixes:expr) => {
        $output.prefix = Some($listing.text(&$listing.prefix));
        $output.delimiter = $listing.delimiter();
        $output.encoding_type = $listing.encoding.clone();
        $output.is_truncated = Some($truncated);
        $output.common_prefixes = $listing.prefixes($prefixes);
    };
}
use fill;

/// A continuation token is the marker in a form that clients leave alone.
pub(crate) fn token_of(marker: &str) -> String {
    URL_SAFE_NO_PAD.encode(marker)
}

/// The marker in a token.
pub(crate) fn marker_of(token: &str) -> S3Result<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|b| String::from_utf8(b).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}
