//! Uploads in parts, copies, versions and locks against scripted servers: what is sent, what a retry means, and what
//! an error says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that is wrong")]

mod common;

use bytes::Bytes;
use common::{Server, Step, answer, config, crc, environment, response, s3_error};
use vast_client::{
    CopySource, Error, Operation, Retention, RetentionMode, S3Bucket, Severity, Thing, VastClient, Versioning,
};

const UNTIL: u64 = 1_255_369_830;

fn bucket(server: &Server) -> (VastClient, S3Bucket) {
    let client = VastClient::new(&config(None, &[server]), &environment().0).unwrap();
    let bucket = client.bucket("lsu1");
    (client, bucket)
}

fn refusal(status: u16, code: &str, message: &str) -> Step {
    answer(status, &format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
}

const COMPLETED: &str = "<CompleteMultipartUploadResult><ETag>\"e-1\"</ETag></CompleteMultipartUploadResult>";
const COPIED: &str = "<CopyObjectResult><ETag>\"e1\"</ETag></CopyObjectResult>";
const BEGUN: &str = "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>";

#[tokio::test]
async fn an_upload_in_parts_from_beginning_to_end() {
    let part = || Step::Answer(response(200, &[("etag", "\"p1\"")], b""));
    let done = Step::Answer(response(200, &[("x-amz-version-id", "v1")], COMPLETED.as_bytes()));
    let server = Server::script(vec![answer(200, BEGUN), part(), done]).await;
    let (client, bucket) = bucket(&server);
    let upload = bucket.begin_upload("k", None).await.unwrap();
    let data = vec![Bytes::from_static(b"hello "), Bytes::from_static(b"world")];
    let etag = bucket.upload_part("k", &upload, 1, data, crc(b"hello world")).await.unwrap();
    let output = bucket.complete_upload("k", &upload, &[etag]).await.unwrap();
    assert_eq!((output.etag.as_str(), output.version.as_deref()), ("\"e-1\"", Some("v1")));

    let seen = server.received();
    let targets: Vec<_> = seen.iter().map(|r| (r.method.as_str(), r.target.as_str())).collect();
    assert_eq!(
        targets,
        [
            ("POST", "/lsu1/k?uploads="),
            ("PUT", "/lsu1/k?partNumber=1&uploadId=u1"),
            ("POST", "/lsu1/k?uploadId=u1")
        ]
    );
    assert_eq!(seen[1].body, "hello world");
    // SHA-256 of "hello world".
    let hash = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    assert_eq!(seen[1].header("x-amz-content-sha256"), hash);
    assert!(seen[2].body.ends_with(b"<ETag>\"p1\"</ETag></Part></CompleteMultipartUpload>"));
    for operation in
        [Operation::CreateMultipartUpload, Operation::UploadPart, Operation::CompleteMultipartUpload]
    {
        assert_eq!(client.counters().requests_of(operation), 1);
    }
}

#[tokio::test]
async fn a_repeated_begin_warns_of_what_may_be_left() {
    let server = Server::script(vec![Step::Reset, answer(200, BEGUN)]).await;
    let (environment, lines) = environment();
    let client = VastClient::new(&config(None, &[&server]), &environment).unwrap();
    assert_eq!(client.bucket("lsu1").begin_upload("k", None).await.unwrap(), "u1");
    assert!(lines.has(Severity::Warning, "may be left behind"), "{}", lines.all());
}

#[tokio::test]
async fn an_error_in_a_successful_answer_is_retried_or_reported() {
    let server = Server::script(vec![
        refusal(200, "InternalError", "We encountered an internal error."),
        answer(200, COMPLETED),
        refusal(200, "SlowDown", ""),
        answer(200, COPIED),
        refusal(200, "AccessDenied", "no"),
    ])
    .await;
    let (client, bucket) = bucket(&server);
    bucket.complete_upload("k", "u1", &["\"p1\"".to_owned()]).await.unwrap();
    let source = CopySource { bucket: "from", key: "a b", version: Some("v1") };
    assert_eq!(bucket.copy_object(source, "k").await.unwrap().etag, "\"e1\"");
    assert_eq!(client.counters().retries, 2);
    assert_eq!(server.received()[3].header("x-amz-copy-source"), "/from/a%20b?versionId=v1");
    let error = bucket.copy_object(source, "k").await.unwrap_err();
    assert!(matches!(&error, Error::Denied(detail) if detail.what == "COPY from/a b to lsu1/k"), "{error}");
}

#[tokio::test]
async fn a_missing_upload_after_a_lost_answer_may_be_the_calls_own_success() {
    let parts = ["\"p1\"".to_owned()];
    for first in [Step::Reset, refusal(200, "InternalError", ""), s3_error(503, "SlowDown")] {
        let server = Server::script(vec![first, s3_error(404, "NoSuchUpload")]).await;
        let error = bucket(&server).1.complete_upload("k", "u1", &parts).await.unwrap_err();
        assert!(matches!(&error, Error::NoUpload(detail) if detail.after_unknown), "{error}");
    }
    let server = Server::start(|_| s3_error(404, "NoSuchUpload")).await;
    let (_, bucket) = bucket(&server);
    let error = bucket.complete_upload("k", "u1", &parts).await.unwrap_err();
    assert!(matches!(&error, Error::NoUpload(detail) if !detail.after_unknown), "{error}");
    let part = bucket.upload_part("k", "u1", 1, vec![], 0).await;
    assert!(matches!(part, Err(Error::NoUpload(_))), "{part:?}");
    assert_eq!(bucket.abort_upload("k", "u1").await, Ok(()), "as good as aborted");
}

#[tokio::test]
async fn what_can_be_repeated_does_not_speak_of_earlier_attempts() {
    let server = Server::script(vec![Step::Reset, s3_error(404, "NoSuchKey")]).await;
    let error = bucket(&server).1.head_object("k").await.unwrap_err();
    assert!(matches!(&error, Error::NotFound(Thing::Object, detail) if !detail.after_unknown), "{error}");
}

/// The answer to a HEAD at `now`, of a version that is kept until [`UNTIL`].
fn kept(now: &str, more: &[(&str, &str)]) -> Step {
    let mut headers = vec![
        ("etag", "\"e1\""),
        ("content-length", "0"),
        ("date", now),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-object-lock-retain-until-date", "2009-10-12T17:50:30Z"),
    ];
    headers.extend_from_slice(more);
    Step::Answer(response(200, &headers, b""))
}

const BEFORE: &str = "Mon, 12 Oct 2009 17:50:29 GMT";
const AFTER: &str = "Mon, 12 Oct 2009 17:50:30 GMT";

fn doomed() -> [(String, String); 2] {
    [("a".to_owned(), "v1".to_owned()), ("b".to_owned(), "v2".to_owned())]
}

fn undeleted(errors: &[(&str, &str, &str)]) -> Step {
    let each = |(key, code, message): &(&str, &str, &str)| {
        format!(
            "<Error><Key>{key}</Key><VersionId>v1</VersionId><Code>{code}</Code><Message>{message}</Message></Error>"
        )
    };
    let errors: String = errors.iter().map(each).collect();
    answer(200, &format!("<DeleteResult>{errors}</DeleteResult>"))
}

#[tokio::test]
async fn versions_are_deleted_together_and_missing_ones_are_gone() {
    let server = Server::script(vec![undeleted(&[("a", "NoSuchVersion", "")])]).await;
    let (_, bucket) = bucket(&server);
    assert_eq!(bucket.delete_versions(&doomed()).await, Ok(()));
    let request = &server.received()[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/lsu1?delete="));
    let body = std::str::from_utf8(&request.body).unwrap();
    assert!(body.contains("<Object><Key>b</Key><VersionId>v2</VersionId></Object>"), "{body}");
    assert!(!request.header("content-md5").is_empty());
}

#[tokio::test]
async fn a_version_that_stays_is_locked_or_not_ours_to_delete() {
    let said = "Access Denied because object protected by object lock.";
    let hold = [("x-amz-object-lock-legal-hold", "ON")];
    for (answers, locked) in [
        (vec![undeleted(&[("a", "AccessDenied", said)])], true),
        (vec![undeleted(&[("a", "AccessDenied", "Access Denied")]), kept(BEFORE, &[])], true),
        (vec![undeleted(&[("a", "AccessDenied", "Access Denied")]), kept(AFTER, &[])], false),
        (vec![undeleted(&[("a", "AccessDenied", "Access Denied")]), kept(AFTER, &hold)], true),
        (vec![undeleted(&[("a", "AccessDenied", "Access Denied")]), answer(403, "")], false),
    ] {
        let server = Server::script(answers).await;
        let error = bucket(&server).1.delete_versions(&doomed()).await.unwrap_err();
        assert_eq!(error.detail().what, "DELETE lsu1/a version v1");
        assert_eq!(matches!(error, Error::Locked(_)), locked, "{error}");
        assert!(matches!(error, Error::Locked(_) | Error::Denied(_)), "{error}");
    }
}

#[tokio::test]
async fn another_failure_is_graver_than_a_lock() {
    let lock = ("a", "AccessDenied", "protected by object lock");
    for errors in [[lock, ("b", "Odd", "")], [("b", "Odd", ""), lock]] {
        let server = Server::script(vec![undeleted(&errors)]).await;
        let error = bucket(&server).1.delete_versions(&doomed()).await.unwrap_err();
        assert!(
            matches!(&error, Error::Protocol(detail) if detail.code.as_deref() == Some("Odd")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_retention_is_put_extended_and_not_shortened() {
    let denied = || refusal(403, "AccessDenied", "Access Denied");
    let server = Server::script(vec![
        answer(200, ""),
        denied(),
        kept(BEFORE, &[]),
        denied(),
        kept(BEFORE, &[]),
        refusal(400, "InvalidRequest", "Bucket is missing Object Lock Configuration"),
    ])
    .await;
    let (_, bucket) = bucket(&server);
    let retention = Retention { until: UNTIL, mode: RetentionMode::Governance };
    bucket.put_retention("k", Some("v1"), retention).await.unwrap();
    assert_eq!(server.received()[0].target, "/lsu1/k?retention=&versionId=v1");
    let shorter = Retention { until: UNTIL - 1, ..retention };
    let error = bucket.put_retention("k", Some("v1"), shorter).await.unwrap_err();
    assert!(matches!(&error, Error::Locked(_)), "{error}");
    assert_eq!(server.received()[2].target, "/lsu1/k?versionId=v1");
    // The lock would allow this: it must be the right that is missing.
    let error =
        bucket.put_retention("k", None, Retention { until: UNTIL + 1, ..retention }).await.unwrap_err();
    assert!(matches!(&error, Error::Denied(_)), "{error}");
    let error = bucket.put_retention("k", None, retention).await.unwrap_err();
    assert!(matches!(&error, Error::Unsupported(detail) if detail.advice.contains("object lock")), "{error}");
}

#[tokio::test]
async fn a_bucket_without_locks_is_no_error() {
    let server = Server::script(vec![
        s3_error(404, "ObjectLockConfigurationNotFoundError"),
        answer(200, "<VersioningConfiguration/>"),
        s3_error(404, "NoSuchObjectLockConfiguration"),
        s3_error(404, "NoSuchBucket"),
        s3_error(501, "NotImplemented"),
        s3_error(404, "NoSuchKey"),
    ])
    .await;
    let (_, bucket) = bucket(&server);
    assert_eq!(bucket.lock_configuration().await, Ok(None));
    assert_eq!(bucket.versioning().await, Ok(Versioning::Off));
    assert_eq!(bucket.retention("k", None).await, Ok(None));
    assert!(matches!(bucket.lock_configuration().await, Err(Error::NotFound(Thing::Bucket, _))));
    assert!(matches!(bucket.lock_configuration().await, Err(Error::Unsupported(_))));
    assert!(matches!(bucket.retention("k", None).await, Err(Error::NotFound(Thing::Object, _))));
}
