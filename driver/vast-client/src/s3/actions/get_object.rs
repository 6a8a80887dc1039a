//! GetObject: a range of an object, or the whole, never less than was asked for.

use std::ops::Range;

use bytes::Bytes;
use http::{Method, StatusCode};

use super::{Action, Again, Flaw, Outgoing, object_path};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;
use crate::s3::info::ObjectInfo;

/// The answer to a get.
#[derive(Debug, Clone)]
pub struct GetOutput {
    /// The bytes asked for; shorter than asked only at the end of the object.
    pub data: Bytes,
    /// What is known of the object they belong to.
    pub info: ObjectInfo,
}

#[derive(Debug)]
pub(crate) struct GetObject<'a> {
    pub(crate) key: &'a str,
    /// Not empty.
    pub(crate) range: Option<Range<u64>>,
    /// Bytes that a whole object may have.
    pub(crate) whole_max: u64,
}

impl Action for GetObject<'_> {
    type Output = GetOutput;

    const OPERATION: Operation = Operation::GetObject;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        match &self.range {
            None => format!("GET {bucket}/{}", self.key),
            Some(range) => format!("GET {bucket}/{} [{}, {})", self.key, range.start, range.end),
        }
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let request = Outgoing::new(Method::GET, object_path(bucket, self.key)?);
        match &self.range {
            None => Ok(request),
            Some(range) => request.header("range", &format!("bytes={}-{}", range.start, range.end - 1)),
        }
    }

    fn parse(&self, answer: Answer) -> std::result::Result<GetOutput, Flaw> {
        let length = answer.body.len() as u64;
        let size = match (&self.range, answer.status) {
            (None, StatusCode::OK) => whole(&answer, length)?,
            (Some(range), StatusCode::PARTIAL_CONTENT) => partial(&answer, range, length)?,
            (_, status) => return Err(Flaw(format!("HTTP {status} is no answer to what was asked"))),
        };
        Ok(GetOutput { info: ObjectInfo::read(&answer, size)?, data: answer.body })
    }

    fn body_max(&self) -> Option<u64> {
        Some(self.range.as_ref().map_or(self.whole_max, |range| range.end - range.start))
    }
}

/// A whole object, whose end must be announced: by length (checked where the body is read) or by chunks.
fn whole(answer: &Answer, length: u64) -> std::result::Result<u64, Flaw> {
    let announced = answer.headers.contains_key("content-length")
        || answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    if announced { Ok(length) } else { Err(Flaw("the answer does not say how long it is".to_owned())) }
}

/// The size of the object, once the answer proves to be the range asked for, whole.
fn partial(answer: &Answer, asked: &Range<u64>, length: u64) -> std::result::Result<u64, Flaw> {
    let text =
        answer.header("content-range").ok_or_else(|| Flaw("the answer has no Content-Range".to_owned()))?;
    let wrong = || Flaw(format!("Content-Range {text:?} with {length} bytes is not the range asked for"));
    let (range, size) = parse_content_range(text).ok_or_else(wrong)?;
    let right = range.start == asked.start
        && range.end == asked.end.min(size)
        && range.end > range.start
        && length == range.end - range.start;
    if right { Ok(size) } else { Err(wrong()) }
}

fn parse_content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((
        first.trim().parse().ok()?..last.trim().parse::<u64>().ok()?.checked_add(1)?,
        size.trim().parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    fn get(range: Option<Range<u64>>) -> GetObject<'static> {
        GetObject { key: "k", range, whole_max: 1 << 20 }
    }

    #[test]
    fn a_range_is_asked_for_inclusively() {
        let request = get(Some(10..20)).build("lsu").unwrap();
        assert_eq!(request.headers["range"], "bytes=10-19");
        assert!(get(None).build("lsu").unwrap().headers.is_empty());
    }

    #[test]
    fn only_the_very_range_is_accepted() {
        let ask = |status, content_range: &str, body: &str| {
            get(Some(2..6)).parse(answer(status, &[("etag", "e"), ("content-range", content_range)], body))
        };
        let got = ask(206, "bytes 2-5/9", "2345").unwrap();
        assert_eq!((got.data.as_ref(), got.info.size), (&b"2345"[..], 9));
        assert_eq!(ask(206, "bytes 2-4/5", "234").unwrap().info.size, 5, "shorter at the end of the object");
        for (status, range, body) in [
            (206, "bytes 2-4/9", "234"),
            (206, "bytes 2-5/9", "234"),
            (206, "bytes 1-4/9", "1234"),
            (206, "bytes 2-5/*", "2345"),
            (206, "bytes 5-2/9", ""),
            (206, "bytes 2-18446744073709551615/9", "2345"),
            (206, "junk", "2345"),
            (200, "bytes 2-5/9", "2345"),
        ] {
            assert!(ask(status, range, body).is_err(), "{status} {range} {body}");
        }
        assert!(get(Some(2..6)).parse(answer(206, &[("etag", "e")], "2345")).is_err());
    }

    #[test]
    fn a_whole_object_must_announce_its_end() {
        let parse = |headers: &[(&'static str, &str)]| get(None).parse(answer(200, headers, "abc"));
        assert_eq!(parse(&[("etag", "e"), ("content-length", "3")]).unwrap().info.size, 3);
        assert_eq!(parse(&[("etag", "e"), ("transfer-encoding", "chunked")]).unwrap().info.size, 3);
        assert!(parse(&[("etag", "e")]).is_err());
        assert!(parse(&[("content-length", "3")]).is_err());
        assert!(get(None).parse(answer(206, &[("etag", "e"), ("content-length", "3")], "abc")).is_err());
    }
}
