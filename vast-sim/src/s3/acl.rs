//! Access control lists of buckets and objects.

use http::HeaderMap;
use s3s::dto::{
    AccessControlPolicy, Grant as GrantDto, Grantee as GranteeDto, Permission as PermissionDto, Type,
};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::Names;
use super::reply;

const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const SIGNED: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOGS: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";
/// Most grants that one list may hold.
const MAX_GRANTS: usize = 100;

/// What a grant permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Permission {
    FullControl,
    Read,
    Write,
    ReadAcp,
    WriteAcp,
}

/// To whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Grantee {
    User(String),
    Everybody,
    Signed,
    LogDelivery,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Grant {
    grantee: Grantee,
    permission: Permission,
}

/// A list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acl {
    owner: String,
    grants: Vec<Grant>,
}

impl Permission {
    const ALL: [(Self, &str, &str); 5] = [
        (Self::FullControl, "FULL_CONTROL", "x-amz-grant-full-control"),
        (Self::Read, "READ", "x-amz-grant-read"),
        (Self::Write, "WRITE", "x-amz-grant-write"),
        (Self::ReadAcp, "READ_ACP", "x-amz-grant-read-acp"),
        (Self::WriteAcp, "WRITE_ACP", "x-amz-grant-write-acp"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(p, ..)| *p == self).map_or("", |(_, name, _)| name)
    }
}

impl Grantee {
    fn of_uri(uri: &str) -> S3Result<Self> {
        match uri {
            EVERYBODY => Ok(Self::Everybody),
            SIGNED => Ok(Self::Signed),
            LOGS => Ok(Self::LogDelivery),
            _ => Err(s3_error!(InvalidArgument, "Invalid group uri {uri}")),
        }
    }

    fn is(&self, caller: Option<&Names>) -> bool {
        match self {
            Self::Everybody => true,
            Self::Signed => caller.is_some(),
            Self::LogDelivery => false,
            Self::User(id) => caller.is_some_and(|names| names.name == *id || names.ids.contains(id)),
        }
    }
}

impl Acl {
    /// The list of a bucket or object that nobody set one for: all to its owner.
    pub(crate) fn private(owner: &str) -> Self {
        let grantee = Grantee::User(owner.to_owned());
        Self { owner: owner.to_owned(), grants: vec![Grant { grantee, permission: Permission::FullControl }] }
    }

    /// The stored form, or the default.
    pub(crate) fn stored(value: Option<&Value>, owner: &str) -> Self {
        let read = |v: &Value| serde_json::from_value(v.clone()).ok();
        value.and_then(read).unwrap_or_else(|| Self::private(owner))
    }

    pub(crate) fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// One of the lists that have a name.
    fn canned(name: &str, owner: &str, bucket_owner: &str) -> S3Result<Self> {
        let more: &[(Grantee, Permission)] = match name {
            "private" | "aws-exec-read" => &[],
            "public-read" => &[(Grantee::Everybody, Permission::Read)],
            "public-read-write" => {
                &[(Grantee::Everybody, Permission::Read), (Grantee::Everybody, Permission::Write)]
            }
            "authenticated-read" => &[(Grantee::Signed, Permission::Read)],
            "bucket-owner-read" => &[(Grantee::User(bucket_owner.to_owned()), Permission::Read)],
            "bucket-owner-full-control" => {
                &[(Grantee::User(bucket_owner.to_owned()), Permission::FullControl)]
            }
            "log-delivery-write" => {
                &[(Grantee::LogDelivery, Permission::Write), (Grantee::LogDelivery, Permission::ReadAcp)]
            }
            _ => return Err(s3_error!(InvalidArgument, "{name} is not a canned ACL")),
        };
        let mut acl = Self::private(owner);
        for (grantee, permission) in more {
            let grant = Grant { grantee: grantee.clone(), permission: *permission };
            if !acl.grants.contains(&grant) {
                acl.grants.push(grant);
            }
        }
        Ok(acl)
    }

    /// What the headers of a request ask for; none when they ask for nothing.
    pub(crate) fn of_headers(headers: &HeaderMap, owner: &str, bucket_owner: &str) -> S3Result<Option<Self>> {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
        let canned = text("x-amz-acl");
        let mut grants = Vec::new();
        for (permission, _, header) in Permission::ALL {
            for one in text(header).into_iter().flat_map(|v| v.split(',')) {
                grants.push(Grant { grantee: grantee_of_header(one.trim())?, permission });
            }
        }
        match (canned, grants.is_empty()) {
            (Some(_), false) => {
                Err(s3_error!(InvalidRequest, "Specifying both Canned ACLs and Header Grants is not allowed"))
            }
            (Some(name), true) => Self::canned(name, owner, bucket_owner).map(Some),
            (None, false) => Self::checked(owner, grants).map(Some),
            (None, true) => Ok(None),
        }
    }

    /// The list in a request's body.
    pub(crate) fn of_document(document: AccessControlPolicy, owner: &str) -> S3Result<Self> {
        if document.owner.and_then(|o| o.id).is_some_and(|id| id != owner) {
            return Err(s3_error!(AccessDenied, "The owner of an ACL cannot be changed."));
        }
        let malformed = || s3_error!(MalformedACLError, "A grant needs a grantee and a permission.");
        let mut grants = Vec::new();
        for grant in document.grants.unwrap_or_default() {
            let (grantee, permission) =
                (grant.grantee.ok_or_else(malformed)?, grant.permission.ok_or_else(malformed)?);
            let known = Permission::ALL.iter().find(|(_, name, _)| *name == permission.as_str());
            let (permission, ..) = known.ok_or_else(malformed)?;
            let grantee = match (grantee.id, grantee.uri) {
                (Some(id), _) => Grantee::User(id),
                (None, Some(uri)) => Grantee::of_uri(&uri)?,
                (None, None) => {
                    return Err(s3_error!(UnresolvableGrantByEmailAddress, "Name users by their id."));
                }
            };
            grants.push(Grant { grantee, permission: *permission });
        }
        Self::checked(owner, grants)
    }

    fn checked(owner: &str, grants: Vec<Grant>) -> S3Result<Self> {
        if grants.len() > MAX_GRANTS {
            return Err(s3_error!(MalformedACLError, "An ACL holds at most {MAX_GRANTS} grants."));
        }
        Ok(Self { owner: owner.to_owned(), grants })
    }

    /// Whether the list gives a caller a permission.
    pub(crate) fn allows(&self, caller: Option<&Names>, permission: Permission) -> bool {
        let gives = |given: Permission| given == permission || given == Permission::FullControl;
        self.grants.iter().any(|g| gives(g.permission) && g.grantee.is(caller))
    }

    /// Whether anybody beside the owner has any permission.
    pub(crate) fn shares(&self) -> bool {
        self.grants.iter().any(|g| g.grantee != Grantee::User(self.owner.clone()))
    }

    pub(crate) fn grants(&self) -> Vec<GrantDto> {
        let dto = |grant: &Grant| {
            let (kind, id, uri) = match &grant.grantee {
                Grantee::User(id) => (Type::CANONICAL_USER, Some(id.clone()), None),
                Grantee::Everybody => (Type::GROUP, None, Some(EVERYBODY)),
                Grantee::Signed => (Type::GROUP, None, Some(SIGNED)),
                Grantee::LogDelivery => (Type::GROUP, None, Some(LOGS)),
            };
            let grantee = GranteeDto {
                display_name: id.clone(),
                email_address: None,
                id,
                type_: Type::from_static(kind),
                uri: uri.map(str::to_owned),
            };
            GrantDto {
                grantee: Some(grantee),
                permission: Some(PermissionDto::from_static(grant.permission.name())),
            }
        };
        self.grants.iter().map(dto).collect()
    }

    pub(crate) fn owner_dto(&self) -> Option<s3s::dto::Owner> {
        reply::owner(&self.owner)
    }
}

/// `id="anna"` or `uri="http://..."`.
fn grantee_of_header(text: &str) -> S3Result<Grantee> {
    let (kind, value) = text.split_once('=').unwrap_or((text, ""));
    let value = value.trim().trim_matches('"');
    match kind.trim() {
        "id" if !value.is_empty() => Ok(Grantee::User(value.to_owned())),
        "uri" => Grantee::of_uri(value),
        _ => Err(s3_error!(InvalidArgument, "A grant is id=\"user\" or uri=\"group\", not {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (http::HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    #[test]
    fn canned_lists_and_grants() {
        let anna = Names { name: "anna".to_owned(), ..Names::default() };
        let of = |pairs: &[(&'static str, &str)]| Acl::of_headers(&headers(pairs), "owner", "boss").unwrap();
        assert_eq!(of(&[]), None);
        for (pairs, anna_reads, all_read, all_write) in [
            (&[("x-amz-acl", "private")][..], false, false, false),
            (&[("x-amz-acl", "public-read")], true, true, false),
            (&[("x-amz-acl", "public-read-write")], true, true, true),
            (&[("x-amz-acl", "authenticated-read")], true, false, false),
            (&[("x-amz-grant-read", "id=\"anna\", id=\"berta\"")], true, false, false),
            (
                &[("x-amz-grant-full-control", "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\"")],
                true,
                true,
                true,
            ),
        ] {
            let acl = of(pairs).unwrap();
            let found = (
                acl.allows(Some(&anna), Permission::Read),
                acl.allows(None, Permission::Read),
                acl.allows(None, Permission::Write),
            );
            assert_eq!(found, (anna_reads, all_read, all_write), "{pairs:?}");
            assert_eq!(Acl::stored(Some(&acl.to_value()), "x"), acl);
        }
        let both = headers(&[("x-amz-acl", "private"), ("x-amz-grant-read", "id=a")]);
        Acl::of_headers(&both, "o", "b").unwrap_err();
        Acl::of_headers(&headers(&[("x-amz-acl", "nonsense")]), "o", "b").unwrap_err();
        Acl::of_headers(&headers(&[("x-amz-grant-read", "emailAddress=a@b")]), "o", "b").unwrap_err();
    }
}
