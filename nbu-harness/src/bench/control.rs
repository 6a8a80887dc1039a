//! The control of the bench: plain HTTP PUTs and GETs of the same number of bytes to the same server, from threads with
//! blocking sockets and no check of any content. What a backup is compared with, and never faster than the machine.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, sign,
};
use aws_sigv4::sign::v4;

use super::BenchError;

/// Bytes of one object: what the plug-in's largest segments have by default.
const OBJECT: u64 = 16 << 20;

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Put,
    Get,
}

impl Direction {
    const fn method(self) -> &'static str {
        match self {
            Self::Put => "PUT",
            Self::Get => "GET",
        }
    }
}

/// A server to talk to plainly.
#[derive(Debug, Clone)]
pub(super) struct Control {
    /// `http://address:port` of every VIP.
    pub(super) vips: Vec<String>,
    pub(super) bucket: String,
    pub(super) access_key: String,
    pub(super) secret_key: String,
}

impl Control {
    /// Moves `bytes` over as many connections, each to the next VIP, and says how long it took.
    ///
    /// A get reads what a put with the same arguments wrote.
    pub(super) fn run(
        &self,
        direction: Direction,
        bytes: u64,
        connections: usize,
    ) -> Result<Duration, BenchError> {
        let objects = bytes.div_ceil(OBJECT);
        let mut plans: Vec<Vec<String>> = vec![Vec::new(); connections];
        for object in 0..objects {
            let connection = usize::try_from(object).unwrap_or(0) % connections;
            let vip = &self.vips[connection % self.vips.len()];
            plans[connection]
                .push(self.presign(direction, &format!("{vip}/{}/control/{object}", self.bucket))?);
        }
        let started = Instant::now();
        thread::scope(|scope| {
            let workers: Vec<_> = plans
                .iter()
                .enumerate()
                .map(|(i, plan)| {
                    scope.spawn(move || worker(&self.vips[i % self.vips.len()], direction, plan))
                })
                .collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|_| Err(BenchError::Control("a worker panicked".to_owned())))
            })
        })?;
        Ok(started.elapsed())
    }

    /// The request's target, with its signature in the query.
    fn presign(&self, direction: Direction, url: &str) -> Result<String, BenchError> {
        let failed = |error: String| BenchError::Control(format!("signing {url}: {error}"));
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_hours(1));
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        let identity =
            aws_credential_types::Credentials::new(&self.access_key, &self.secret_key, None, None, "bench")
                .into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|e| failed(e.to_string()))?
            .into();
        let body = SignableBody::UnsignedPayload;
        let request = SignableRequest::new(direction.method(), url, std::iter::empty(), body)
            .map_err(|e| failed(e.to_string()))?;
        let (instructions, _) = sign(request, &parameters).map_err(|e| failed(e.to_string()))?.into_parts();
        let query: Vec<String> =
            instructions.params().iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let path = url.find("://").and_then(|at| url[at + 3..].find('/').map(|slash| &url[at + 3 + slash..]));
        Ok(format!("{}?{}", path.unwrap_or("/"), query.join("&")))
    }
}

fn encoded(value: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    percent_encoding::utf8_percent_encode(value, KEPT).to_string()
}

fn worker(vip: &str, direction: Direction, targets: &[String]) -> Result<(), BenchError> {
    let host = vip.trim_start_matches("http://");
    let failed =
        |error: std::io::Error| BenchError::Control(format!("{} to {host}: {error}", direction.method()));
    let size = usize::try_from(OBJECT).unwrap_or(usize::MAX);
    let mut buffer = vec![0x5a_u8; size];
    let mut out = TcpStream::connect(host).map_err(failed)?;
    out.set_nodelay(true).map_err(failed)?;
    let mut answers = BufReader::with_capacity(1 << 16, out.try_clone().map_err(failed)?);
    for target in targets {
        let length = if direction == Direction::Put { size } else { 0 };
        let head = format!(
            "{} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n",
            direction.method()
        );
        out.write_all(head.as_bytes()).map_err(failed)?;
        out.write_all(&buffer[..length]).map_err(failed)?;
        let (status, length) = answer_head(&mut answers).map_err(failed)?;
        if status != 200 || length > size {
            let message = format!("{} to {host}: status {status} with {length} bytes", direction.method());
            return Err(BenchError::Control(message));
        }
        answers.read_exact(&mut buffer[..length]).map_err(failed)?;
        if direction == Direction::Get && length != size {
            return Err(BenchError::Control(format!("GET from {host}: {length} bytes, not {size}")));
        }
    }
    Ok(())
}

/// Status and body length of an answer.
fn answer_head(answers: &mut impl std::io::BufRead) -> std::io::Result<(u16, usize)> {
    let mut status = 0;
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if answers.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let text = line.trim_end();
        if text.is_empty() {
            return Ok((status, length));
        }
        if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
            status = rest.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0);
        } else if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_head_is_read() {
        let mut text = "HTTP/1.1 404 Not Found\r\nETag: x\r\ncontent-length: 12\r\n\r\nbody".as_bytes();
        assert_eq!(answer_head(&mut text).unwrap(), (404, 12));
        assert_eq!(text, b"body");
        assert!(answer_head(&mut "HTTP/1.1 200 OK\r\n".as_bytes()).is_err());
    }
}
