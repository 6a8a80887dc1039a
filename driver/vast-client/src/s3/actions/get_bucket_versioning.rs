//! GetBucketVersioning: whether the bucket keeps what is replaced and deleted.

use http::Method;
use serde::Deserialize;

use super::{Action, Again, Flaw, Outgoing, bucket_path, read_document};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;

/// Whether a bucket keeps versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// It never did.
    Off,
    /// Every write makes a version.
    Enabled,
    /// It did; what was kept then is there, and deleting makes delete markers. VAST does not offer this.
    Suspended,
}

#[derive(Debug)]
pub(crate) struct GetBucketVersioning;

#[derive(Deserialize)]
struct VersioningConfiguration {
    #[serde(rename = "Status")]
    status: Option<String>,
}

impl Action for GetBucketVersioning {
    type Output = Versioning;

    const OPERATION: Operation = Operation::GetBucketVersioning;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        format!("GET versioning of {bucket}")
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        Ok(Outgoing::new(Method::GET, format!("{}?versioning=", bucket_path(bucket))))
    }

    fn parse(&self, answer: Answer) -> std::result::Result<Versioning, Flaw> {
        let configuration: VersioningConfiguration = read_document(&answer, "the versioning")?;
        match configuration.status.as_deref().map(str::trim) {
            None | Some("") => Ok(Versioning::Off),
            Some("Enabled") => Ok(Versioning::Enabled),
            Some("Suspended") => Ok(Versioning::Suspended),
            Some(other) => Err(Flaw(format!("the versioning {other:?} is not known"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    #[test]
    fn every_status_is_told_apart() {
        assert_eq!(GetBucketVersioning.build("lsu").unwrap().target, "/lsu?versioning=");
        let of = |inner: &str| {
            let xml = format!("<VersioningConfiguration>{inner}</VersioningConfiguration>");
            GetBucketVersioning.parse(answer(200, &[], &xml))
        };
        assert_eq!(of(""), Ok(Versioning::Off));
        assert_eq!(of("<Status>Enabled</Status><MfaDelete>Disabled</MfaDelete>"), Ok(Versioning::Enabled));
        assert_eq!(of("<Status>Suspended</Status>"), Ok(Versioning::Suspended));
        assert!(of("<Status>Other</Status>").is_err());
        assert!(GetBucketVersioning.parse(answer(200, &[], "")).is_err());
    }
}
