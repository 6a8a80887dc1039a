//! What AWS says with an error code, for errors that the protocol library leaves without a message.

/// Codes and their messages.
const MESSAGES: &[(&str, &str)] = &[
    ("AccessDenied", "Access Denied"),
    ("AuthorizationHeaderMalformed", "The authorization header that you provided is not valid."),
    (
        "BadDigest",
        "The Content-MD5 or checksum value that you specified did not match what the server received.",
    ),
    ("BucketNotEmpty", "The bucket you tried to delete is not empty."),
    ("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."),
    (
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header.",
    ),
    ("InternalError", "We encountered an internal error. Please try again."),
    ("InvalidAccessKeyId", "The AWS access key ID you provided does not exist in our records."),
    ("InvalidArgument", "Invalid Argument"),
    ("InvalidBucketName", "The specified bucket is not valid."),
    ("InvalidDigest", "The Content-MD5 you specified is not valid."),
    (
        "InvalidPolicyDocument",
        "The content of the form does not meet the conditions specified in the policy document.",
    ),
    ("InvalidRange", "The requested range is not satisfiable"),
    ("InvalidRequest", "Invalid Request"),
    ("InvalidStorageClass", "The storage class you specified is not valid"),
    ("InvalidURI", "Couldn't parse the specified URI."),
    ("KeyTooLongError", "Your key is too long"),
    ("MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data."),
    (
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    ),
    ("MaxMessageLengthExceeded", "Your request was too large."),
    ("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size"),
    ("MethodNotAllowed", "The specified method is not allowed against this resource."),
    ("MissingContentLength", "You must provide the Content-Length HTTP header."),
    ("MissingRequestBodyError", "Request Body is empty"),
    ("NoSuchBucket", "The specified bucket does not exist"),
    ("NoSuchKey", "The specified key does not exist."),
    ("NotImplemented", "A header you provided implies functionality that is not implemented."),
    ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
    ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
    (
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and signing \
         method.",
    ),
    ("SlowDown", "Please reduce your request rate."),
    ("ServiceUnavailable", "Service is unable to handle request."),
];

/// The message of a code; the code itself for one that is not known here.
pub(super) fn of(code: &str) -> &str {
    MESSAGES.iter().find(|(known, _)| *known == code).map_or(code, |(_, message)| message)
}
