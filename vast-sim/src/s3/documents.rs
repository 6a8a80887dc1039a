//! Documents that clients attach to buckets: policy, lists, tags and the rest.
//!
//! Policy, lists and ownership rules are looked at by the permission check; tags, logging, notification, encryption,
//! payment and public access settings are kept and given back as they came.

use s3s::dto::{
    BucketLoggingStatus, DeleteBucketCorsInput, DeleteBucketCorsOutput, DeleteBucketEncryptionInput,
    DeleteBucketEncryptionOutput, DeleteBucketOwnershipControlsInput, DeleteBucketOwnershipControlsOutput,
    DeleteBucketPolicyInput, DeleteBucketPolicyOutput, DeleteBucketTaggingInput, DeleteBucketTaggingOutput,
    DeletePublicAccessBlockInput, DeletePublicAccessBlockOutput, GetBucketEncryptionInput,
    GetBucketEncryptionOutput, GetBucketLoggingInput, GetBucketLoggingOutput,
    GetBucketNotificationConfigurationInput, GetBucketNotificationConfigurationOutput,
    GetBucketOwnershipControlsInput, GetBucketOwnershipControlsOutput, GetBucketPolicyInput,
    GetBucketPolicyOutput, GetBucketPolicyStatusInput, GetBucketPolicyStatusOutput,
    GetBucketRequestPaymentInput, GetBucketRequestPaymentOutput, GetBucketTaggingInput,
    GetBucketTaggingOutput, GetPublicAccessBlockInput, GetPublicAccessBlockOutput, NotificationConfiguration,
    ObjectOwnership, OwnershipControls, OwnershipControlsRule, Payer, PolicyStatus,
    PublicAccessBlockConfiguration, PutBucketEncryptionInput, PutBucketEncryptionOutput,
    PutBucketLoggingInput, PutBucketLoggingOutput, PutBucketNotificationConfigurationInput,
    PutBucketNotificationConfigurationOutput, PutBucketOwnershipControlsInput,
    PutBucketOwnershipControlsOutput, PutBucketPolicyInput, PutBucketPolicyOutput,
    PutBucketRequestPaymentInput, PutBucketRequestPaymentOutput, PutBucketTaggingInput,
    PutBucketTaggingOutput, PutPublicAccessBlockInput, PutPublicAccessBlockOutput,
    RequestPaymentConfiguration, ServerSideEncryptionConfiguration, Tagging,
};
use s3s::xml;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use serde_json::Value;

use super::caller::Caller;
use super::policy::{Attached, Policy};
use super::reply::{self, CoreRef};

/// Most tags on a bucket.
const MAX_TAGS: usize = 50;

/// An error code that the protocol library knows no status for.
pub(super) fn absent(code: &'static str, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(http::StatusCode::NOT_FOUND);
    error
}

/// What a bucket has under a name.
pub(super) fn read<T>(
    core: CoreRef<'_>,
    req: &S3Request<T>,
    bucket: &str,
    name: &str,
) -> S3Result<Option<Value>> {
    let caller = Caller::of(req)?;
    core.store.read(|state| Ok(caller.open(state, bucket)?.documents.get(name).cloned()))
}

pub(super) fn write<T>(
    core: CoreRef<'_>,
    req: &S3Request<T>,
    bucket: &str,
    name: &str,
    value: Option<Value>,
) -> S3Result<()> {
    let caller = Caller::of(req)?;
    core.store.write(|state| {
        caller.open(state, bucket)?;
        state.set_document(bucket, name, value);
        Ok(())
    })
}

/// The stored form of a document that is only kept: its XML.
fn to_xml(document: &impl xml::Serialize) -> S3Result<Value> {
    let mut bytes = Vec::new();
    document.serialize(&mut xml::Serializer::new(&mut bytes)).map_err(S3Error::internal_error)?;
    String::from_utf8(bytes).map(Value::from).map_err(S3Error::internal_error)
}

fn from_xml<T: for<'x> xml::Deserialize<'x>>(stored: Option<&Value>) -> S3Result<Option<T>> {
    let Some(text) = stored.and_then(Value::as_str) else { return Ok(None) };
    T::deserialize(&mut xml::Deserializer::new(text.as_bytes())).map(Some).map_err(S3Error::internal_error)
}

/// Stores a document that is only kept, and gives it back.
macro_rules! kept {
    ($put:ident($put_in:ident . $field:ident) -> $put_out:ident, $get:ident($get_in:ident) -> $get_out:ident,
     $name:literal: $document:ident => $answer:expr) => {
        pub(crate) async fn $put(
            core: CoreRef<'_>,
            req: S3Request<$put_in>,
        ) -> S3Result<S3Response<$put_out>> {
            let value = to_xml(&req.input.$field)?;
            write(core, &req, &req.input.bucket, $name, Some(value))?;
            Ok(S3Response::new($put_out::default()))
        }

        pub(crate) async fn $get(
            core: CoreRef<'_>,
            req: S3Request<$get_in>,
        ) -> S3Result<S3Response<$get_out>> {
            let stored = read(core, &req, &req.input.bucket, $name)?;
            let answer: fn(Option<$document>) -> S3Result<$get_out> = $answer;
            answer(from_xml(stored.as_ref())?).map(S3Response::new)
        }
    };
}

/// Takes a document away.
macro_rules! removed {
    ($delete:ident($input:ident) -> $output:ident, $name:literal) => {
        pub(crate) async fn $delete(
            core: CoreRef<'_>,
            req: S3Request<$input>,
        ) -> S3Result<S3Response<$output>> {
            write(core, &req, &req.input.bucket, $name, None)?;
            Ok(reply::with_status($output {}, http::StatusCode::NO_CONTENT))
        }
    };
}

removed! { delete_cors(DeleteBucketCorsInput) -> DeleteBucketCorsOutput, "cors" }

kept! { put_logging(PutBucketLoggingInput.bucket_logging_status) -> PutBucketLoggingOutput,
    get_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput, "logging": BucketLoggingStatus => |stored| {
    Ok(GetBucketLoggingOutput { logging_enabled: stored.and_then(|s| s.logging_enabled) })
} }

kept! { put_notification(PutBucketNotificationConfigurationInput.notification_configuration)
    -> PutBucketNotificationConfigurationOutput,
    get_notification(GetBucketNotificationConfigurationInput) -> GetBucketNotificationConfigurationOutput,
    "notification": NotificationConfiguration => |stored| {
    let stored = stored.unwrap_or_default();
    Ok(GetBucketNotificationConfigurationOutput {
        event_bridge_configuration: stored.event_bridge_configuration,
        lambda_function_configurations: stored.lambda_function_configurations,
        queue_configurations: stored.queue_configurations,
        topic_configurations: stored.topic_configurations,
    })
} }

kept! { put_encryption(PutBucketEncryptionInput.server_side_encryption_configuration) -> PutBucketEncryptionOutput,
    get_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput,
    "encryption": ServerSideEncryptionConfiguration => |stored| match stored {
    Some(_) => Ok(GetBucketEncryptionOutput { server_side_encryption_configuration: stored }),
    None => Err(absent(
        "ServerSideEncryptionConfigurationNotFoundError",
        "The server side encryption configuration was not found",
    )),
} }
removed! { delete_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput, "encryption" }

kept! { put_payment(PutBucketRequestPaymentInput.request_payment_configuration) -> PutBucketRequestPaymentOutput,
    get_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput,
    "requestPayment": RequestPaymentConfiguration => |stored| {
    let payer = stored.map_or_else(|| Payer::from_static(Payer::BUCKET_OWNER), |s| s.payer);
    Ok(GetBucketRequestPaymentOutput { payer: Some(payer) })
} }

kept! { put_public_access(PutPublicAccessBlockInput.public_access_block_configuration) -> PutPublicAccessBlockOutput,
    get_public_access(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput,
    "publicAccessBlock": PublicAccessBlockConfiguration => |stored| match stored {
    Some(_) => Ok(GetPublicAccessBlockOutput { public_access_block_configuration: stored }),
    None => Err(absent(
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
    )),
} }
removed! { delete_public_access(DeletePublicAccessBlockInput) -> DeletePublicAccessBlockOutput, "publicAccessBlock" }

pub(crate) async fn put_tagging(
    core: CoreRef<'_>,
    req: S3Request<PutBucketTaggingInput>,
) -> S3Result<S3Response<PutBucketTaggingOutput>> {
    let tags = &req.input.tagging.tag_set;
    if tags.len() > MAX_TAGS {
        return Err(s3_error!(InvalidTag, "A bucket has at most {MAX_TAGS} tags."));
    }
    let mut seen = std::collections::BTreeSet::new();
    for tag in tags {
        let (key, value) = (tag.key.as_deref().unwrap_or_default(), tag.value.as_deref().unwrap_or_default());
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(s3_error!(
                InvalidTag,
                "A tag has a key of 1 to 128 and a value of at most 256 characters."
            ));
        }
        if !seen.insert(key) {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    let value = to_xml(&req.input.tagging)?;
    write(core, &req, &req.input.bucket, "tagging", Some(value))?;
    Ok(reply::with_status(PutBucketTaggingOutput::default(), http::StatusCode::NO_CONTENT))
}

pub(crate) async fn get_tagging(
    core: CoreRef<'_>,
    req: S3Request<GetBucketTaggingInput>,
) -> S3Result<S3Response<GetBucketTaggingOutput>> {
    let stored = read(core, &req, &req.input.bucket, "tagging")?;
    match from_xml::<Tagging>(stored.as_ref())? {
        Some(tagging) => Ok(S3Response::new(GetBucketTaggingOutput { tag_set: tagging.tag_set })),
        None => Err(absent("NoSuchTagSet", "The TagSet does not exist")),
    }
}
removed! { delete_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput, "tagging" }

pub(crate) async fn put_policy(
    core: CoreRef<'_>,
    req: S3Request<PutBucketPolicyInput>,
) -> S3Result<S3Response<PutBucketPolicyOutput>> {
    let (bucket, text) = (&req.input.bucket, &req.input.policy);
    Policy::read(text, Attached::Bucket(bucket))
        .map_err(|e| S3Error::with_message(S3ErrorCode::MalformedPolicy, e))?;
    write(core, &req, bucket, "policy", Some(text.clone().into()))?;
    Ok(reply::with_status(PutBucketPolicyOutput {}, http::StatusCode::NO_CONTENT))
}

fn no_policy() -> S3Error {
    s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist")
}

pub(crate) async fn get_policy(
    core: CoreRef<'_>,
    req: S3Request<GetBucketPolicyInput>,
) -> S3Result<S3Response<GetBucketPolicyOutput>> {
    let stored = read(core, &req, &req.input.bucket, "policy")?;
    let policy = stored.as_ref().and_then(Value::as_str).map(str::to_owned).ok_or_else(no_policy)?;
    Ok(S3Response::new(GetBucketPolicyOutput { policy: Some(policy) }))
}
removed! { delete_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput, "policy" }

pub(crate) async fn get_policy_status(
    core: CoreRef<'_>,
    req: S3Request<GetBucketPolicyStatusInput>,
) -> S3Result<S3Response<GetBucketPolicyStatusOutput>> {
    let stored = read(core, &req, &req.input.bucket, "policy")?;
    let text = stored.as_ref().and_then(Value::as_str).ok_or_else(no_policy)?;
    let public = Policy::read(text, Attached::Bucket(&req.input.bucket)).is_ok_and(|p| p.is_public());
    let policy_status = Some(PolicyStatus { is_public: Some(public) });
    Ok(S3Response::new(GetBucketPolicyStatusOutput { policy_status }))
}

pub(crate) async fn put_ownership(
    core: CoreRef<'_>,
    req: S3Request<PutBucketOwnershipControlsInput>,
) -> S3Result<S3Response<PutBucketOwnershipControlsOutput>> {
    let known = [
        ObjectOwnership::BUCKET_OWNER_ENFORCED,
        ObjectOwnership::BUCKET_OWNER_PREFERRED,
        ObjectOwnership::OBJECT_WRITER,
    ];
    let rule = match &req.input.ownership_controls.rules[..] {
        [rule] if known.contains(&rule.object_ownership.as_str()) => {
            rule.object_ownership.as_str().to_owned()
        }
        _ => return Err(s3_error!(MalformedXML, "One rule with a known ObjectOwnership is needed.")),
    };
    write(core, &req, &req.input.bucket, "ownershipControls", Some(rule.into()))?;
    Ok(S3Response::new(PutBucketOwnershipControlsOutput::default()))
}

pub(crate) async fn get_ownership(
    core: CoreRef<'_>,
    req: S3Request<GetBucketOwnershipControlsInput>,
) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
    let stored = read(core, &req, &req.input.bucket, "ownershipControls")?;
    let rule = stored.as_ref().and_then(Value::as_str).ok_or_else(|| {
        absent("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
    })?;
    let rules = vec![OwnershipControlsRule { object_ownership: ObjectOwnership::from(rule.to_owned()) }];
    let ownership_controls = Some(OwnershipControls { rules });
    Ok(S3Response::new(GetBucketOwnershipControlsOutput { ownership_controls }))
}
removed! { delete_ownership(DeleteBucketOwnershipControlsInput) -> DeleteBucketOwnershipControlsOutput, "ownershipControls" }
