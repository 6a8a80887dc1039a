//! What a cluster holds beside bytes: VMS objects, keys, documents of buckets, tags and locks. Each is a name with a text.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use vast_sim::KeyPair;

use super::{Clients, Dice};
use crate::client::{Failure, Reply, S3, Vms};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Quota,
    User,
    /// Of a writer's folder; its text says only that it is there.
    Snapshot,
    /// Deleted by a task.
    Tenant,
    /// A key pair; its text is the secret.
    Key,
    /// Named by path and version.
    DeleteMarker,
    ObjectTags,
    LegalHold,
    Retention,
    BucketTags,
    Lifecycle,
    Cors,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fact {
    pub(super) kind: Kind,
    pub(super) name: String,
}

impl Kind {
    pub(super) const ALL: [Self; 12] = [
        Self::Quota,
        Self::User,
        Self::Snapshot,
        Self::Tenant,
        Self::Key,
        Self::DeleteMarker,
        Self::ObjectTags,
        Self::LegalHold,
        Self::Retention,
        Self::BucketTags,
        Self::Lifecycle,
        Self::Cors,
    ];

    /// Whether it can be made to go.
    pub(super) fn can_go(self) -> bool {
        !matches!(self, Self::LegalHold | Self::Retention)
    }

    /// Whether its text can change.
    pub(super) fn can_change(self) -> bool {
        !matches!(self, Self::Snapshot | Self::Tenant | Self::DeleteMarker)
    }

    /// The name of one of a writer's two; what belongs to an object or a bucket is there once.
    pub(super) fn name(self, writer: u64, n: u64) -> String {
        match self {
            Self::Quota => format!("q{writer}-{n}"),
            Self::User => format!("u{writer}-{n}"),
            Self::Snapshot => format!("s{writer}-{n}"),
            Self::Key => format!("AKW{writer}N{n}"),
            Self::ObjectTags => format!("/locked/w{writer}?tagging"),
            Self::LegalHold => format!("/locked/w{writer}?legal-hold"),
            Self::Retention => format!("/locked/w{writer}?retention"),
            Self::BucketTags => format!("/doc{writer}?tagging"),
            Self::Lifecycle => format!("/doc{writer}?lifecycle"),
            Self::Cors => format!("/doc{writer}?cors"),
            Self::Tenant | Self::DeleteMarker => String::new(),
        }
    }

    /// A text that it may get.
    pub(super) fn fresh(self, writer: u64, dice: &mut Dice, before: Option<&str>) -> String {
        let number = dice.below(1_000_000);
        match self {
            Self::Quota => ((1 << 40) + number).to_string(),
            Self::User => (1_000_000 * (writer + 1) + number).to_string(),
            Self::Snapshot | Self::Tenant | Self::DeleteMarker => "there".to_owned(),
            Self::LegalHold => (if before == Some("ON") { "OFF" } else { "ON" }).to_owned(),
            // Retention may only grow.
            Self::Retention => {
                let year = before.map_or(2100, |b| b[..4].parse::<u32>().unwrap() + 1);
                format!("{year}-01-01T00:00:00Z")
            }
            Self::Lifecycle => (number + 1).to_string(),
            Self::Key | Self::ObjectTags | Self::BucketTags | Self::Cors => format!("v{number}"),
        }
    }

    fn resource(self) -> &'static str {
        match self {
            Self::Quota => "quotas",
            Self::User => "users",
            Self::Snapshot => "snapshots",
            Self::Tenant => "tenants",
            _ => "",
        }
    }

    fn document(self, text: &str) -> String {
        match self {
            Self::ObjectTags | Self::BucketTags => {
                format!("<Tagging><TagSet><Tag><Key>k</Key><Value>{text}</Value></Tag></TagSet></Tagging>")
            }
            Self::LegalHold => format!("<LegalHold><Status>{text}</Status></LegalHold>"),
            Self::Retention => format!(
                "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{text}</RetainUntilDate></Retention>"
            ),
            Self::Lifecycle => format!(
                "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>\
                 <Expiration><Days>{text}</Days></Expiration></Rule></LifecycleConfiguration>"
            ),
            _ => format!(
                "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>https://{text}</AllowedOrigin>\
                 </CORSRule></CORSConfiguration>"
            ),
        }
    }

    /// The marks round the text in an answer.
    fn marks(self) -> (&'static str, &'static str) {
        match self {
            Self::ObjectTags | Self::BucketTags => ("<Value>", "</Value>"),
            Self::LegalHold => ("<Status>", "</Status>"),
            Self::Retention => ("<RetainUntilDate>", "</RetainUntilDate>"),
            Self::Lifecycle => ("<Days>", "</Days>"),
            _ => ("<AllowedOrigin>https://", "</AllowedOrigin>"),
        }
    }
}

impl Fact {
    /// Sends the request that makes it so.
    pub(super) async fn set(
        &self,
        clients: &Clients,
        writer: u64,
        there: bool,
        wanted: Option<&str>,
    ) -> Result<Reply, Failure> {
        let name = self.name.as_str();
        match (self.kind, wanted) {
            (Kind::Quota | Kind::User | Kind::Snapshot | Kind::Tenant, _) => {
                self.set_row(&clients.vms, writer, there, wanted).await
            }
            (Kind::Key, Some(secret)) => {
                let body = json!({ "user_id": clients.user_id, "tenant_id": 1, "access_key": name, "secret_key": secret });
                clients.vms.try_send("PUT", "/sim/v1/keys", body.to_string()).await
            }
            (Kind::Key, None) => {
                let path = format!("/api/users/{}/access_keys/", clients.user_id);
                clients.vms.try_send("DELETE", &path, json!({ "access_key": name }).to_string()).await
            }
            (_, None) => clients.s3.try_send("DELETE", name, &[], Bytes::new()).await,
            (kind, Some(text)) => clients.s3.try_send("PUT", name, &[], kind.document(text)).await,
        }
    }

    async fn set_row(
        &self,
        vms: &Vms,
        writer: u64,
        there: bool,
        wanted: Option<&str>,
    ) -> Result<Reply, Failure> {
        let (resource, name) = (self.kind.resource(), self.name.as_str());
        let fields = match (self.kind, wanted) {
            (Kind::Quota, Some(limit)) => json!({ "hard_limit": limit.parse::<u64>().unwrap() }),
            (Kind::User, Some(uid)) => json!({ "uid": uid.parse::<u64>().unwrap() }),
            _ => json!({}),
        };
        if there {
            let found = vms.try_send("GET", &format!("/api/{resource}/?name={name}"), "").await?;
            let path = format!("/api/{resource}/{}/", found.json()[0]["id"]);
            return match wanted {
                Some(_) => vms.try_send("PATCH", &path, fields.to_string()).await,
                None => vms.try_send("DELETE", &path, "").await,
            };
        }
        let mut body = fields;
        body["name"] = name.into();
        match self.kind {
            Kind::Quota => {
                body["path"] = format!("/{name}").into();
                body["create_dir"] = true.into();
            }
            Kind::Snapshot => body["path"] = format!("/data/w{writer}").into(),
            _ => {}
        }
        vms.try_send("POST", &format!("/api/{resource}/"), body.to_string()).await
    }

    /// What it is.
    pub(super) async fn read(&self, clients: &Clients, rows: &Rows) -> Option<String> {
        match self.kind {
            Kind::Quota => rows.of("quotas", &self.name).map(|row| row["hard_limit"].to_string()),
            Kind::User => rows.of("users", &self.name).map(|row| row["uid"].to_string()),
            Kind::Snapshot | Kind::Tenant => {
                rows.of(self.kind.resource(), &self.name).map(|_| "there".to_owned())
            }
            Kind::DeleteMarker => match clients.s3.get(&self.name).await.status.as_u16() {
                405 => Some("marker".to_owned()),
                404 => None,
                other => panic!("{}: {other}", self.name),
            },
            kind => {
                let reply = clients.s3.get(&self.name).await;
                assert!(reply.status == 200 || reply.status == 404, "{}: {}", self.name, reply.text());
                let (open, close) = kind.marks();
                let text = reply.between(open, close).into_iter().next();
                text.map(|t| if kind == Kind::Retention { t.replace(".000Z", "Z") } else { t })
            }
        }
    }

    /// The one of these secrets that the key pair has.
    pub(super) async fn works(&self, clients: &Clients, secrets: Vec<String>) -> Option<String> {
        for secret in secrets {
            let keys = KeyPair { access_key: self.name.clone(), secret_key: secret.clone() };
            let reply = S3 { keys, ..clients.s3.clone() }.get("/").await;
            if reply.status == 200 {
                return Some(secret);
            }
            assert_eq!(reply.status, 403, "{}", reply.text());
        }
        None
    }
}

/// The VMS objects of a moment at which no task is under way.
#[derive(Debug)]
pub(super) struct Rows(BTreeMap<&'static str, Vec<Value>>);

impl Rows {
    pub(super) async fn fetch(vms: &Vms) -> Self {
        let begun = std::time::Instant::now();
        loop {
            let running = vms.get("/api/vtasks/?state=RUNNING").await.ok().json();
            if running.as_array().unwrap().is_empty() {
                break;
            }
            assert!(begun.elapsed().as_secs() < 30, "tasks do not end: {running}");
        }
        let mut rows = BTreeMap::new();
        for resource in ["quotas", "users", "snapshots", "tenants", "vtasks"] {
            let listed = vms.get(&format!("/api/{resource}/")).await.ok().json();
            rows.insert(resource, listed.as_array().unwrap().clone());
        }
        Self(rows)
    }

    fn of(&self, resource: &str, name: &str) -> Option<&Value> {
        self.0[resource].iter().find(|row| row["name"] == name)
    }

    /// Whether a task is known, and done.
    pub(super) fn has_task(&self, id: u64) -> bool {
        self.0["vtasks"].iter().any(|row| row["id"] == id && row["state"] == "COMPLETED")
    }

    /// Ids of a resource.
    pub(super) fn ids(&self, resource: &str) -> impl Iterator<Item = u64> {
        self.0[resource].iter().map(|row| row["id"].as_u64().unwrap())
    }
}
